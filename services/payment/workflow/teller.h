// Makes known what the events tell: wakes the relay, counts, and alerts operators where the provider contradicts itself
// or paid too late.
#pragma once

#include <functional>
#include <vector>

#include "payment/domain/action.h"

namespace flotilla::payment {

// For Ledger::Options and Keeper::Options. `wake` is called after every commit that wrote events.
std::function<void(const std::vector<Work::Told>&)> Teller(std::function<void()> wake);

}  // namespace flotilla::payment
