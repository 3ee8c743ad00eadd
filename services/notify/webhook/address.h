// Which addresses a webhook may be sent to.
#pragma once

#include <sys/socket.h>

namespace flotilla::notify {

// False for loopback, private, link-local, shared, multicast, documentation and other addresses that are not of the
// public internet, also where an IPv6 address wraps such an IPv4 one: a user must not make this service speak to the
// machines around it.
bool IsPublic(const sockaddr& address);

}  // namespace flotilla::notify
