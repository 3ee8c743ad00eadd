// I4 of the services whose events are told now and then: stock and payments.
#pragma once

#include <string>

#include "checker/report.h"
#include "checker/snapshot.h"

namespace flotilla::checker {

// `notify` was read before `source`, the database of the service `name`: whatever it handled must be there.
void CheckSourceEvents(Snapshot& notify, Snapshot& source, const std::string& name, bool quiescent, Report& report);

}  // namespace flotilla::checker
