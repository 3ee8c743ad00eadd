// Everything in the order service's database.
#pragma once

#include <vector>

#include "postgres/rights.h"
#include "postgres/session.h"

namespace flotilla::order {

// The event log, the sagas, then the orders.
std::vector<postgres::Migration> Schema();
// What the service's role may do there: what was ordered, and by whom, never changes.
postgres::Rights Rights();

}  // namespace flotilla::order
