// Compares the ledger with the orders (see domain/order_match.h), on a thread of its own, in every instance. Instances
// share the work through the database. While order does not answer it stands still, and nothing is passed over.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "async/stop_signal.h"
#include "payment/store/order_match_store.h"
#include "payment/workflow/order_words.h"
#include "postgres/database_clock.h"
#include "prometheus/counter.h"

namespace flotilla::payment {

class OrderMatcher {
 public:
  struct Options {
    postgres::Options postgres;
    // How old a change of an order, or of its money, is when they are compared: longer than nearly all sagas take.
    absl::Duration after = absl::Minutes(10);
    absl::Duration every = absl::Minutes(1);  // an order that differs is looked at, at least
    // Both block, and answer an error where nobody can say anything now. A word on each order, of 1 to 1,000.
    std::function<absl::StatusOr<std::vector<OrderWord>>(std::span<const OrderLook>)> ask = {};
    // Orders that ended at least `after` ago, behind the token, as OrderWords lists them.
    std::function<absl::StatusOr<EndedOrders>(const std::string& token, absl::Duration after, int limit)> list = {};
    absl::Duration period = absl::Seconds(2);
  };
  // `clock`, by which time passes, outlives it.
  OrderMatcher(Options options, const postgres::DatabaseClock& clock);
  ~OrderMatcher();  // Stop()

  void Start();
  // Ends what is under way, then joins. `ask` and `list` are called no more.
  void Stop();

 private:
  void Run();
  // A batch. Whether there was one, so that there may be more; an error where the database or order is away: tried
  // again later.
  absl::StatusOr<bool> MatchNews();
  absl::StatusOr<bool> LookAgain();
  // Compares what is new in both logs.
  absl::StatusOr<MatchPlan> Match(const OrderMatchStore::News& news, const EndedOrders& ended);
  absl::StatusOr<MatchPlan> Compare(const std::vector<OrderLook>& looks,
                                    const std::vector<OrderMatchStore::Kept>& read);

  const Options options_;
  const postgres::DatabaseClock& clock_;
  OrderMatchStore store_;
  prometheus::Counter& matched_;
  prometheus::Counter& failed_;
  async::StopSignal stop_;
  std::thread thread_;
};

}  // namespace flotilla::payment
