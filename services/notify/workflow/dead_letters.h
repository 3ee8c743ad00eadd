// Second chances, and the end of chances. Blocking.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "notify/store/dead_letter_store.h"

namespace flotilla::notify {

// Applies a dead letter's event after all. NOT_FOUND (UNKNOWN_DEAD_LETTER), FAILED_PRECONDITION (STILL_UNREADABLE).
absl::Status Redeliver(DeadLetterStore& store, const std::string& event_id);

// Its event will have no effect. NOT_FOUND (UNKNOWN_DEAD_LETTER).
absl::Status Discard(DeadLetterStore& store, const std::string& event_id);

}  // namespace flotilla::notify
