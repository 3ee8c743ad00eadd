// What the fleet's requests have in common: the forms of ids and names, with the words for the error where one is
// broken; the caller; pages.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

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

// UNAUTHENTICATED (NO_USER) where the call carries no user.
absl::Status CheckUser(std::string_view user_id);
// An operator's note: UTF-8 without NUL, which PostgreSQL takes nowhere. INVALID_ARGUMENT naming "note".
absl::Status CheckNote(std::string_view note, std::size_t max_bytes, bool required = true);
// The rows of one page of a list, or of anything else that is asked for by number: 50 where the request says 0.
// INVALID_ARGUMENT naming the field beyond 1,000.
absl::StatusOr<int> PageSize(std::int32_t page_size, std::string_view field = "page_size");

// INVALID_ARGUMENT naming "page_token".
absl::Status ForeignToken();

}  // namespace flotilla::validation
