// Settles charges once their orders have been complete for long enough, on a thread of its own, in every instance.
// Instances share the work through the database (see settlement_store.h).
//
// A charge whose order is not complete, or not known, waits apart, so that it holds up no other one. While nobody
// answers, the settlement stands still, and nothing is lost.
#pragma once

#include <functional>
#include <span>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "async/stop_signal.h"
#include "payment/domain/settlement_plan.h"
#include "payment/store/action_store.h"
#include "payment/store/settlement_store.h"
#include "postgres/database_clock.h"
#include "prometheus/counter.h"

namespace flotilla::payment {

class Settler {
 public:
  // A word on the order of each charge, of 1 to 1,000, or an error where nobody can say anything now. Blocks.
  using Ask = std::function<absl::StatusOr<std::vector<OrderWord>>(std::span<const Unsettled>)>;
  struct Options {
    postgres::Options postgres;
    SplitRule split = {};
    absl::Duration settle_after = absl::Hours(24);
    Ask ask = {};
    // From an order's charge to its completion, usually: charges that are asked about so much later need not wait.
    absl::Duration usual_completion = absl::Seconds(2);
    absl::Duration period = absl::Milliseconds(500);
  };
  // `clock`, by which time passes, outlives the settler.
  Settler(Options options, const postgres::DatabaseClock& clock);
  ~Settler();  // Stop()

  void Start();
  // Ends what is under way, then joins. `ask` is called no more.
  void Stop();

 private:
  void Run();
  // A batch. Whether there was one, so that there may be more; an error where the database or the order service is
  // away: tried again later.
  absl::StatusOr<bool> SettleDue();
  absl::StatusOr<bool> SettleWaiting();
  // Asks about the charges and settles those whose time has come; the plan that was carried out.
  absl::StatusOr<SettlementPlan> Settle(const std::vector<Unsettled>& charges);

  const Options options_;
  const postgres::DatabaseClock& clock_;
  SettlementStore store_;
  ActionStore actions_;
  prometheus::Counter& settled_;
  prometheus::Counter& waiting_;
  prometheus::Counter& failed_;
  async::StopSignal stop_;
  std::thread thread_;
};

}  // namespace flotilla::payment
