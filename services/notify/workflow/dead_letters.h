// Second chances.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "notify/store/dead_letter_store.h"

namespace flotilla::notify {

// Applies a dead letter's event after all; blocking. NOT_FOUND (UNKNOWN_DEAD_LETTER), FAILED_PRECONDITION
// (STILL_UNREADABLE).
absl::Status Redeliver(DeadLetterStore& store, const std::string& event_id);

}  // namespace flotilla::notify
