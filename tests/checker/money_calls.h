// I2 as clients see it: what each call on a payment was told is what the ledger did, and the ledger did nothing else.
// Every difference is laid to the call that caused it.
#pragma once

#include "checker/client_log.h"
#include "checker/report.h"
#include "checker/snapshot.h"

namespace flotilla::checker {

// `complete`: the log has all calls there were, so that money that nobody asked for shows.
void CheckMoneyCalls(const ClientLog& log, Snapshot& payment, bool complete, Report& report);

}  // namespace flotilla::checker
