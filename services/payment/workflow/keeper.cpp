#include "payment/workflow/keeper.h"

#include <utility>

#include "telemetry/metrics.h"

namespace flotilla::payment {
namespace {

constexpr int kBatch = 500;
constexpr int kBlock = 5000;  // transfers of a block of the hash chain, at most

}  // namespace

Keeper::Keeper(Options options, const postgres::DatabaseClock& clock)
    : options_(std::move(options)),
      clock_(clock),
      actions_(options_.postgres, SplitRule{}, clock),
      journal_(options_.postgres),
      expired_(
          telemetry::Counter("flotilla_payment_expired_total", "Authorizations and payments that ran out of time")),
      chained_(telemetry::Counter("flotilla_payment_chained_total", "Transfers covered by the journal's hash chain")),
      thread_([this] { Run(); }) {}

Keeper::~Keeper() {
  stop_.Set();
  thread_.join();
}

void Keeper::Run() {
  while (!stop_.WaitFor(options_.period)) {
    Expire();
    ExtendChain();
  }
}

bool Keeper::Act(const std::vector<Action>& actions) {
  std::vector<Work::Told> told;
  if (!actions_.Apply(actions, &told).ok()) return false;
  if (!told.empty() && options_.told) options_.told(told);
  return true;
}

void Keeper::Expire() {
  while (!stop_.IsSet()) {
    const absl::StatusOr<std::vector<std::string>> orders = actions_.Expired(clock_.Now(), kBatch);
    if (!orders.ok() || orders->empty()) return;
    std::vector<Action> actions;
    for (const std::string& order : *orders) actions.emplace_back(ExpireCommand{order});
    if (!Act(actions)) return;
    expired_.Increment(static_cast<double>(orders->size()));
    if (orders->size() < kBatch) return;
  }
}

void Keeper::ExtendChain() {
  while (!stop_.IsSet()) {
    const absl::StatusOr<std::int64_t> covered = journal_.Extend(kBlock);
    if (!covered.ok() || *covered == 0) return;
    chained_.Increment(static_cast<double>(*covered));
    if (*covered < kBlock) return;
  }
}

}  // namespace flotilla::payment
