#include "payment/workflow/settler.h"

#include <algorithm>
#include <string>
#include <utility>

#include "failpoint/failpoint.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace flotilla::payment {
namespace {

constexpr int kBatch = 500;
constexpr absl::Duration kLongestPause = absl::Seconds(15);

}  // namespace

Settler::Settler(Options options, const postgres::DatabaseClock& clock)
    : options_(std::move(options)),
      clock_(clock),
      store_(postgres::Named(options_.postgres, "settlement")),
      actions_(postgres::Named(options_.postgres, "settle"), options_.split, clock),
      settled_(
          telemetry::Counter("flotilla_payment_settled_total", "Charges handed to the settlement, repeats included")),
      waiting_(
          telemetry::Counter("flotilla_payment_settlement_waits_total",
                             "Charges that the settlement came to before their orders were ready, repeats included")),
      failed_(telemetry::Counter("flotilla_payment_settlement_failed_total",
                                 "Batches that could not be settled, since order or the database did not answer")) {}

Settler::~Settler() { Stop(); }

void Settler::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Settler::Stop() {
  stop_.Set();
  if (thread_.joinable()) thread_.join();
}

// In turns, a batch each: neither keeps the other from its own.
void Settler::Run() {
  absl::Duration pause = options_.period;
  while (!stop_.WaitFor(pause)) {
    const absl::StatusOr<bool> due = SettleDue();
    const absl::StatusOr<bool> waiting = due.ok() ? SettleWaiting() : due;
    if (!waiting.ok()) {
      failed_.Increment();
      telemetry::Warning("the settlement stands still", {{"error", waiting.status().ToString()}});
      pause = std::clamp(2 * pause, options_.period, kLongestPause);
    } else {
      pause = *due || *waiting ? absl::ZeroDuration() : options_.period;
    }
  }
}

absl::StatusOr<bool> Settler::SettleDue() {
  const absl::StatusOr<SettlementStore::Due> due =
      store_.Claim(options_.settle_after + options_.usual_completion, kBatch);
  if (!due.ok()) return due.status();
  if (due->xid.empty()) return false;
  if (auto error = FLOTILLA_FAILPOINT("settlement.claimed"); !error.ok()) return error;
  const absl::StatusOr<SettlementPlan> plan = Settle(due->charges);
  if (!plan.ok()) {
    store_.Free().IgnoreError();  // else it is free after a while
    return plan.status();
  }
  if (auto status = store_.Advance(*due, plan->wait); !status.ok()) return status;
  if (auto error = FLOTILLA_FAILPOINT("settlement.advanced"); !error.ok()) return error;
  return true;
}

absl::StatusOr<bool> Settler::SettleWaiting() {
  const absl::StatusOr<std::vector<Unsettled>> charges = store_.ClaimWaiting(clock_.Now(), kBatch);
  if (!charges.ok()) return charges.status();
  if (charges->empty()) return false;
  if (auto error = FLOTILLA_FAILPOINT("settlement.turn"); !error.ok()) return error;
  const absl::StatusOr<SettlementPlan> plan = Settle(*charges);
  if (!plan.ok()) return plan.status();
  if (auto status = store_.Keep(*plan); !status.ok()) return status;
  if (auto error = FLOTILLA_FAILPOINT("settlement.kept"); !error.ok()) return error;
  return true;
}

absl::StatusOr<SettlementPlan> Settler::Settle(const std::vector<Unsettled>& charges) {
  if (charges.empty()) return SettlementPlan();
  const absl::StatusOr<std::vector<OrderWord>> words = options_.ask(charges);
  if (!words.ok()) return words.status();
  SettlementPlan plan = PlanSettlement(charges, *words, options_.settle_after, clock_.Now());
  if (!plan.settle.empty()) {
    std::vector<Action> actions;
    actions.reserve(plan.settle.size());
    for (const std::string& order : plan.settle) actions.emplace_back(SettleCommand{order});
    const auto settled = actions_.Apply(actions, nullptr);
    if (!settled.ok()) return settled.status();
    settled_.Increment(static_cast<double>(plan.settle.size()));
    if (auto error = FLOTILLA_FAILPOINT("settlement.settled"); !error.ok()) return error;
  }
  waiting_.Increment(static_cast<double>(plan.wait.size()));
  return plan;
}

}  // namespace flotilla::payment
