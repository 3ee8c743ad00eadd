#include "payment/audit/ledger_audit.h"

#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace flotilla::payment {
namespace {

const postgres::Statement kImbalance = {
    "audit_imbalance",
    "SELECT coalesce(sum(abs(sum)), 0)::float8, coalesce(string_agg(currency, ','), '') FROM ledger_imbalance"};

// Every class, also those without any.
const postgres::Statement kOpenDifferences = {"open_differences", R"(
    SELECT c.class, count(d.class) FROM generate_series(1, 9) AS c(class)
    LEFT JOIN difference d ON d.class = c.class AND d.state = 1 GROUP BY c.class)"};

// Ten minutes past its time a charge has a reason to be looked at, unless its order was merely completed late.
const postgres::Statement kUnsettled = {"unsettled", R"(
    SELECT s.standing, count(w.standing) FROM generate_series(2, 4) AS s(standing)
    LEFT JOIN settlement_wait w ON w.standing = s.standing AND w.since < now() - interval '10 minutes'
    GROUP BY s.standing)"};

// Since when the first transfer that a cursor has not passed should have been.
#define BEHIND(cursor)                                                                                              \
  "SELECT coalesce((SELECT greatest(0, extract(epoch FROM now() - t.created_at)::float8 - $1::float8) FROM " cursor \
  " c, LATERAL (SELECT created_at FROM transfer WHERE (xid, transfer_id) > (c.xid, c.transfer_id)"                  \
  " ORDER BY xid, transfer_id LIMIT 1) t), 0)"
const postgres::Statement kSettlementBehind = {"settlement_behind", BEHIND("settlement_cursor")};
const postgres::Statement kComparisonBehind = {"comparison_behind", BEHIND("order_match_cursor")};
#undef BEHIND

prometheus::Gauge& Behind(const char* work) {
  return telemetry::Gauge("flotilla_payment_behind_seconds",
                          "How long ago the work on the journal should have come to the first transfer that it has not",
                          {{"work", work}});
}

prometheus::Gauge& Unsettled(const char* standing) {
  return telemetry::Gauge("flotilla_payment_unsettled",
                          "Charges that should have been settled ten minutes ago, by how their orders stand",
                          {{"standing", standing}});
}

prometheus::Gauge& OpenDifferences(const char* kind) {
  return telemetry::Gauge("flotilla_payment_open_differences",
                          "Differences of the ledger from the provider's statements and from orders that wait for an "
                          "operator",
                          {{"class", kind}});
}

postgres::Options Patient(postgres::Options options) {
  options.application_name += " audit";
  options.statement_timeout = absl::Seconds(30);  // it reads every account
  return options;
}

}  // namespace

LedgerAudit::LedgerAudit(const postgres::Options& postgres, Options options)
    : options_(options),
      session_(Patient(postgres)),
      imbalance_(telemetry::Gauge("flotilla_ledger_imbalance_minor_units",
                                  "Absolute sums of all balances, per currency, added up; anything but 0 is a defect")),
      audited_(telemetry::Gauge("flotilla_ledger_audited_time_seconds", "When the ledger was last audited, Unix time")),
      differences_{&OpenDifferences("missing_here"),      &OpenDifferences("missing_there"),
                   &OpenDifferences("amount_differs"),    &OpenDifferences("duplicate"),
                   &OpenDifferences("order_missing"),     &OpenDifferences("order_not_refunded"),
                   &OpenDifferences("order_not_charged"), &OpenDifferences("order_amount_differs"),
                   &OpenDifferences("order_unfinished")},
      unsettled_{&Unsettled("under_way"), &Unsettled("ended"), &Unsettled("unknown")},
      settlement_behind_(Behind("settlement")),
      comparison_behind_(Behind("comparison with orders")),
      thread_([this] { Run(); }) {}

LedgerAudit::~LedgerAudit() {
  stop_.Set();
  thread_.join();
}

void LedgerAudit::Run() {
  do {
    Read();
  } while (!stop_.WaitFor(options_.period));
}

void LedgerAudit::Read() {
  double sum = 0;
  std::string currencies;
  const absl::Status status = session_.Transact([&](postgres::Transaction& transaction) {
    const postgres::Rows result = transaction.Run(kImbalance);
    sum = result[0][0].as<double>();
    currencies = result[0][1].as<std::string>();
    for (const auto& row : transaction.Run(kOpenDifferences)) {
      differences_.at(row[0].as<std::size_t>() - 1)->Set(row[1].as<double>());
    }
    for (const auto& row : transaction.Run(kUnsettled)) {
      unsettled_.at(row[0].as<std::size_t>() - 2)->Set(row[1].as<double>());
    }
    const auto behind = [&](const postgres::Statement& statement, absl::Duration age) {
      return transaction.Run(statement, absl::ToDoubleSeconds(age))[0][0].as<double>();
    };
    settlement_behind_.Set(behind(kSettlementBehind, options_.settle_after));
    if (options_.compare_orders_after.has_value()) {
      comparison_behind_.Set(behind(kComparisonBehind, *options_.compare_orders_after));
    }
    return absl::OkStatus();
  });
  if (!status.ok()) {
    telemetry::Warning("the ledger could not be audited", {{"error", status.ToString()}});
    return;
  }
  if (sum != 0) telemetry::Error("the ledger does not balance", {{"currencies", currencies}});
  imbalance_.Set(sum);
  audited_.SetToCurrentTime();
}

}  // namespace flotilla::payment
