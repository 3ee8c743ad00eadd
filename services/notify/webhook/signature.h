// Signatures after the Standard Webhooks specification (standardwebhooks.com), for which receivers have libraries:
// headers webhook-id, webhook-timestamp (seconds) and webhook-signature = "v1," + base64 of HMAC-SHA256 over
// "id.timestamp.body"; a secret is shown as "whsec_" + base64.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace flotilla::notify {

std::string NewSecret();  // 32 random bytes
std::string ShownSecret(std::string_view secret);
std::string Sign(std::string_view secret, std::string_view id, std::int64_t timestamp, std::string_view body);

}  // namespace flotilla::notify
