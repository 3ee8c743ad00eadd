// What becomes of an order whose saga an operator ends by word.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "postgres/session.h"
#include "saga/admin_store.h"

namespace flotilla::order {

// For saga::AdminStore. Brings the order to `end`, a State, with its event. FAILED_PRECONDITION (WRONG_END_STATE) where
// the saga could not have ended the order there.
absl::Status EndOrder(postgres::Transaction& transaction, const saga::SagaKey& saga, const std::string& data, int end);

}  // namespace flotilla::order
