// Everything in the order service's database.
#pragma once

#include <vector>

#include "postgres/session.h"

namespace flotilla::order {

// The event log, the sagas, then the orders.
std::vector<postgres::Migration> Schema();

}  // namespace flotilla::order
