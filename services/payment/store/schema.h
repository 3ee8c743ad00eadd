// Everything in the payment service's database.
#pragma once

#include <vector>

#include "postgres/rights.h"
#include "postgres/session.h"

namespace flotilla::payment {

// The event log, then the ledger.
std::vector<postgres::Migration> Schema();
// What the service's role may do there: journal rows can be read and added, never changed or deleted.
postgres::Rights Rights();

}  // namespace flotilla::payment
