// What notify's own role may do in its database, where another role owns the tables.
#pragma once

#include "postgres/rights.h"

namespace flotilla::notify {

// A notification's words never change, nor does the log of deliveries.
postgres::Rights Rights();

}  // namespace flotilla::notify
