// Payments in the event log.
#pragma once

#include "events/log.h"
#include "payment/domain/action.h"

namespace flotilla::payment {

events::Event EventOf(const Work::Told& told, const Charge& charge, absl::Time now);

}  // namespace flotilla::payment
