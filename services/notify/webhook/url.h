// The form of a webhook's URL.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace flotilla::notify {

// INVALID_ARGUMENT (INVALID_FIELD) naming `url`: not https (or, with `allow_private`, http), no host, user or password
// within, a fragment, an address that is not public, longer than 2,048. What a name resolves to is looked at when it is
// connected to (see http_sender.h): it may change at any time.
absl::Status CheckUrl(const std::string& url, bool allow_private);

}  // namespace flotilla::notify
