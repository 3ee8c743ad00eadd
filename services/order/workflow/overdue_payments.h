// Orders go on by what payment tells in events, at the latest when their time to pay runs out. Should an event be lost,
// whoever is overdue is found here, and payment is asked. On a thread of its own, in every instance: what two of them
// find is begun once.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "async/stop_signal.h"
#include "flotilla/payment/v1/payment_event.pb.h"
#include "flotilla/payment/v1/payment_service.pb.h"
#include "order/store/awaiting_store.h"
#include "order/workflow/external_flow.h"
#include "postgres/database_clock.h"
#include "prometheus/counter.h"

namespace flotilla::order {

class OverduePayments {
 public:
  // What became of the payments of 1 to 500 orders. An error where payment is away. Blocks.
  using Ask = std::function<absl::StatusOr<payment::v1::BatchGetPaymentsResponse>(std::vector<std::string> order_ids)>;
  struct Options {
    postgres::Options postgres;
    // How late an order is asked about: later than events usually come, sooner than its stock is given up.
    absl::Duration grace = absl::Seconds(30);
    Ask ask = {};
    absl::Duration period = absl::Seconds(5);
  };
  // `hub` and `clock` outlive it.
  OverduePayments(Options options, OrderHub& hub, const postgres::DatabaseClock& clock);
  ~OverduePayments();  // Stop()

  void Start();
  // Ends what is under way, then joins. `ask` is called no more.
  void Stop();

 private:
  void Run();
  // All that are overdue now. An error where the database or payment is away: tried again later.
  absl::Status Sweep();
  absl::Status Take(const OrderKey& key, const payment::v1::BatchGetPaymentsResponse::Result& result);

  const Options options_;
  const postgres::DatabaseClock& clock_;
  AwaitingStore awaiting_;
  PaymentIntake intake_;
  prometheus::Counter& found_;
  async::StopSignal stop_;
  std::thread thread_;
};

// The event that tells of such an end; nothing where the provider has still to speak.
std::optional<payment::v1::PaymentEvent::Kind> KindOf(const payment::v1::BatchGetPaymentsResponse::Result& result);

}  // namespace flotilla::order
