// Tells Prometheus whether the ledger balances (I2), by its view ledger_imbalance, how many differences from the
// provider's statements and from orders are open, how many charges wait in vain to be settled, and how far behind the
// settlement and the comparison with the orders are.
#pragma once

#include <array>
#include <optional>
#include <thread>

#include "absl/time/time.h"
#include "async/stop_signal.h"
#include "postgres/session.h"
#include "prometheus/gauge.h"

namespace flotilla::payment {

// Reads all balances now and then on a thread of its own, in every instance, in one snapshot: an order under way is no
// imbalance. The gauges keep their last values while the database is away.
class LedgerAudit {
 public:
  struct Options {
    absl::Duration period = absl::Minutes(1);
    // How old a transfer is when they should have come to it; absent: the comparison does not run here.
    absl::Duration settle_after = absl::Hours(24);
    std::optional<absl::Duration> compare_orders_after = {};
  };
  LedgerAudit(const postgres::Options& postgres, Options options);
  ~LedgerAudit();  // stops and joins

 private:
  void Run();
  void Read();

  const Options options_;
  postgres::Session session_;
  prometheus::Gauge& imbalance_;
  prometheus::Gauge& audited_;
  const std::array<prometheus::Gauge*, 9> differences_;  // by class
  const std::array<prometheus::Gauge*, 3> unsettled_;    // by standing, from 2 on
  prometheus::Gauge& settlement_behind_;
  prometheus::Gauge& comparison_behind_;
  async::StopSignal stop_;
  std::thread thread_;  // last: uses all of the above
};

}  // namespace flotilla::payment
