// Payments in the event log.
#pragma once

#include "events/log.h"
#include "payment/domain/action.h"

namespace flotilla::payment {

events::Event EventOf(const Work::Told& told, const Charge& charge, absl::Time now);
// Tells operators of a statement's new differences.
events::Event DifferencesEvent(const std::string& statement_id, int sequence, std::int64_t added, std::int64_t open,
                               absl::Time now);

}  // namespace flotilla::payment
