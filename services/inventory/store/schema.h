// Everything in the inventory service's database.
#pragma once

#include <vector>

#include "postgres/rights.h"
#include "postgres/session.h"

namespace flotilla::inventory {

// The event log, then the stock.
std::vector<postgres::Migration> Schema();
// What the service's role may do there: movements of stock are only added, SKUs and holds never deleted.
postgres::Rights Rights();

}  // namespace flotilla::inventory
