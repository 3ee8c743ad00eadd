#include "payment/wiring.h"

#include <memory>

#include "event_log/event_log.h"
#include "payment/api/ledger_api.h"
#include "payment/api/payment_api.h"
#include "payment/api/reconciliation_api.h"
#include "payment/audit/ledger_audit.h"
#include "payment/config.h"
#include "payment/store/journal.h"
#include "payment/store/ledger.h"
#include "payment/store/reconciliation.h"
#include "payment/store/schema.h"
#include "payment/workflow/keeper.h"
#include "payment/workflow/order_matcher.h"
#include "payment/workflow/order_words.h"
#include "payment/workflow/reconciler.h"
#include "payment/workflow/settler.h"
#include "payment/workflow/teller.h"

namespace flotilla::payment {
namespace {

Settler::Options SettlementOf(runtime::Fleet& fleet, const Config& config, OrderWords* orders) {
  Settler::Options options{.postgres = fleet.postgres(), .split = config.split, .settle_after = config.settle_after};
  if (orders == nullptr) {
    options.ask = CompleteSinceTheirCharge;
    options.usual_completion = absl::ZeroDuration();
    return options;
  }
  options.ask = [orders, &fleet](std::span<const Unsettled> charges) {
    return orders->Ask(*fleet.server().loops().front(), charges);
  };
  return options;
}

void WireOrders(runtime::Fleet& fleet, const Config& config, const postgres::DatabaseClock& clock) {
  auto* orders = config.settle_on_completion ? fleet.Keep(std::make_unique<OrderWords>(fleet.Peer("order"))) : nullptr;
  fleet.RunWhileServing(std::make_unique<Settler>(SettlementOf(fleet, config, orders), clock));
  if (orders == nullptr) return;
  OrderMatcher::Options options{
      .postgres = fleet.postgres(), .after = config.compare_orders_after, .every = config.reconcile_every};
  options.ask = [orders, &fleet](std::span<const OrderLook> looks) {
    return orders->Ask(*fleet.server().loops().front(), looks);
  };
  options.list = [orders, &fleet](const std::string& token, absl::Duration after, int limit) {
    return orders->List(*fleet.server().loops().front(), token, after, limit);
  };
  fleet.RunWhileServing(std::make_unique<OrderMatcher>(std::move(options), clock));
}

}  // namespace

absl::Status Wire(runtime::Fleet& fleet) {
  const absl::StatusOr<Config> config = ReadConfig();
  if (!config.ok()) return config.status();
  const auto migrate = [](const postgres::Options& owner) { return event_log::Migrate(owner, Schema()); };
  if (absl::Status status = fleet.Migrate(Rights(), migrate); !status.ok()) return status;
  const postgres::Options postgres = fleet.postgres();

  auto* clock = fleet.Keep(std::make_unique<postgres::DatabaseClock>(postgres));
  if (absl::Status status = fleet.Patiently([clock] { return clock->Start(); }); !status.ok()) return status;

  // Own commits wake it, so it need not look often.
  auto* log = fleet.Keep(std::make_unique<event_log::EventLog>(
      fleet.server(),
      event_log::EventLog::Options{
          .service = "payment", .postgres = postgres, .nats = fleet.nats(), .idle_poll = absl::Milliseconds(250)}));
  const auto wake = [log] { log->Wake(); };
  const auto told = Teller(wake);
  auto* ledger = fleet.Keep(std::make_unique<Ledger>(Ledger::Options{postgres, config->split, told}, *clock));
  auto* journal = fleet.Keep(std::make_unique<Journal>(postgres));
  LedgerAudit::Options audit{.settle_after = config->settle_after};
  if (config->settle_on_completion) audit.compare_orders_after = config->compare_orders_after;
  fleet.Keep(std::make_unique<LedgerAudit>(postgres, audit));
  fleet.Keep(std::make_unique<PaymentApi>(fleet.server(), *ledger, *clock, CallbackVerifier(config->provider_secrets)));
  fleet.Keep(std::make_unique<LedgerApi>(fleet.server(), *journal));
  auto* reconciliation = fleet.Keep(std::make_unique<Reconciliation>(postgres));
  fleet.Keep(
      std::make_unique<ReconciliationApi>(fleet.server(), *reconciliation, *clock, config->statement_margin, wake));
  fleet.Keep(std::make_unique<Keeper>(Keeper::Options{.postgres = postgres, .told = told}, *clock));
  WireOrders(fleet, *config, *clock);
  fleet.Keep(std::make_unique<Reconciler>(
      Reconciler::Options{.postgres = postgres, .every = config->reconcile_every, .wake = wake}));
  return absl::OkStatus();
}

}  // namespace flotilla::payment
