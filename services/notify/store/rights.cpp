#include "notify/store/rights.h"

namespace flotilla::notify {

postgres::Rights Rights() {
  return {{"INSERT", "mailbox, delivery_attempt"},
          {"INSERT, DELETE", "handled_event, notification, dead_letter, endpoint, delivery"},
          {"UPDATE (last, read_through, language, muted_types, muted_channels, endpoints)", "mailbox"},
          {"UPDATE (read)", "notification"},
          {"UPDATE (secret, previous_secret, previous_until, enabled, disabled_reason, times_disabled, due_at)",
           "endpoint"},
          {"UPDATE (state, attempts, next_at)", "delivery"}};
}

}  // namespace flotilla::notify
