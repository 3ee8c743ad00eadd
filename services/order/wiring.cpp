#include "order/wiring.h"

#include <memory>
#include <random>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "async/thread_executor.h"
#include "event_log/event_log.h"
#include "order/api/completion_api.h"
#include "order/api/order_api.h"
#include "order/api/saga_admin_api.h"
#include "order/store/schema.h"
#include "order/workflow/external_flow.h"
#include "order/workflow/order_flow.h"
#include "order/workflow/order_news.h"
#include "order/workflow/overdue_payments.h"
#include "order/workflow/refund_flow.h"
#include "order/workflow/state_metrics.h"

ABSL_FLAG(absl::Duration, reservation_hold, absl::Minutes(2),
          "How long stock is held for an order that is not paid yet.");
ABSL_FLAG(absl::Duration, payment_window, absl::Minutes(15),
          "How long an order awaits the external provider; at most 50 minutes.");

ABSL_FLAG(std::size_t, max_sagas, flotilla::saga::EngineOptions().max_in_flight,
          "Sagas under way in this instance from which on it takes no more orders; 1 or more.");

namespace flotilla::order {
namespace {

// Orders are asked about while their stock is still held: it outlasts the time to pay by --reservation_hold.
constexpr int kGraceOfHold = 4;

void WireOverduePayments(runtime::Fleet& fleet, Participants& participants, OrderHub& hub,
                         const postgres::DatabaseClock& clock) {
  OverduePayments::Options options{.postgres = fleet.postgres(),
                                   .grace = absl::GetFlag(FLAGS_reservation_hold) / kGraceOfHold};
  options.ask = [&participants, &fleet](std::vector<std::string> order_ids) {
    return async::BlockOn(*fleet.server().loops().front(), participants.GetPayments(std::move(order_ids)));
  };
  fleet.RunWhileServing(std::make_unique<OverduePayments>(std::move(options), hub, clock));
}

}  // namespace

absl::Status Wire(runtime::Fleet& fleet) {
  const absl::Duration payment_window = absl::GetFlag(FLAGS_payment_window);
  if (payment_window < absl::Seconds(1) || payment_window > absl::Minutes(50)) {
    return absl::InvalidArgumentError("--payment_window: must be 1 s to 50 min");
  }
  const std::size_t max_sagas = absl::GetFlag(FLAGS_max_sagas);
  if (max_sagas == 0) return absl::InvalidArgumentError("--max_sagas: must be 1 or more");
  const auto postgres = fleet.postgres();
  const auto migrate = [](const postgres::Options& owner) { return event_log::Migrate(owner, Schema()); };
  if (auto status = fleet.Migrate(Rights(), migrate); !status.ok()) return status;

  auto* clock = fleet.Keep(std::make_unique<postgres::DatabaseClock>(postgres));
  if (auto status = fleet.Patiently([clock] { return clock->Start(); }); !status.ok()) return status;

  saga::EngineOptions engine;
  engine.postgres = postgres;
  engine.max_in_flight = max_sagas;
  engine.owner = absl::StrCat(fleet.instance_id(), "/", absl::Hex(std::random_device{}()));  // new at every start
  auto* log = fleet.Keep(std::make_unique<event_log::EventLog>(
      fleet.server(), event_log::EventLog::Options{.service = "order", .postgres = postgres, .nats = fleet.nats()}));
  auto* orders = fleet.Keep(std::make_unique<Orders>(postgres, engine.owner, engine.lease, [log] { log->Wake(); }));
  auto* hub = fleet.Keep(std::make_unique<OrderHub>());
  fleet.Keep(std::make_unique<OrderNews>(fleet.nats(), *hub));
  CountStates(*hub);
  auto* participants = fleet.Keep(std::make_unique<Participants>(fleet.Peer("inventory"), fleet.Peer("payment"),
                                                                 absl::GetFlag(FLAGS_reservation_hold)));
  auto* flow = fleet.Keep(std::make_unique<OrderFlow>(engine, *orders, *participants, *hub, *clock, payment_window));
  auto* refunds = fleet.Keep(std::make_unique<RefundFlow>(*flow, *orders, *hub, *clock));
  fleet.Keep(std::make_unique<OrderApi>(fleet.server(), *flow, *refunds, *orders, *hub));
  auto* completions = fleet.Keep(std::make_unique<Completions>(postgres));
  fleet.Keep(std::make_unique<CompletionApi>(fleet.server(), *completions));
  auto* payments = fleet.Keep(std::make_unique<PaymentIntake>(postgres, *hub, *clock));
  fleet.Keep(std::make_unique<events::Consumer>(
      events::Consumer::ConsumerOptions{
          .nats = fleet.nats(), .stream = "FLOTILLA_PAYMENT", .subject = "flotilla.payment.event", .durable = "order"},
      [payments](auto events) { return payments->Apply(events); }));
  WireOverduePayments(fleet, *participants, *hub, *clock);
  fleet.Keep(std::make_unique<SagaAdminApi>(fleet.server(), postgres));
  fleet.OnStarted([flow, &fleet] {
    const auto loops = fleet.server().loops();
    flow->Start({loops.begin(), loops.end()});
  });
  fleet.OnStop([flow] { flow->Stop(); });
  return absl::OkStatus();
}

}  // namespace flotilla::order
