// The forms that ids and names take in the fleet's requests, with the words for the error where one is broken.
#pragma once

#include <string_view>

namespace flotilla::validation {

inline constexpr char kNameRule[] = "must be 1 to 64 characters of [A-Za-z0-9._-]";
inline constexpr char kKeyRule[] = "must be 1 to 64 printable ASCII characters";
inline constexpr char kUuidRule[] = "must be a UUID, as in 01234567-89ab-cdef-0123-456789abcdef";
inline constexpr char kCurrencyRule[] = "must be an ISO 4217 code of three capital letters";

// SKUs and users.
bool IsName(std::string_view text);
// Idempotency keys of any kind.
bool IsKey(std::string_view text);
// Either case.
bool IsUuid(std::string_view text);
bool IsCurrency(std::string_view text);

}  // namespace flotilla::validation
