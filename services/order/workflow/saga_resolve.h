// Whether an operator may end a saga of an order by word.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "postgres/session.h"
#include "saga/admin_store.h"

namespace flotilla::order {

// For saga::AdminStore. FAILED_PRECONDITION (ORDER_NOT_AT_REST) while the order is on its way: without its saga it
// would stay there for ever, charged or not.
absl::Status MayResolve(postgres::Transaction& transaction, const saga::SagaKey& saga, const std::string& data);

}  // namespace flotilla::order
