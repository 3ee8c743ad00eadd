#include "payment/audit/ledger_audit.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "payment/store/migrations.h"
#include "postgres/test_database.h"
#include "telemetry/metrics.h"
#include "testing/eventually.h"

namespace flotilla::payment {
namespace {

bool Becomes(prometheus::Gauge& gauge, double value) {
  for (int i = 0; i < 1000 && gauge.Value() != value; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return gauge.Value() == value;
}

TEST(LedgerAudit, AnImbalanceShowsAndGoesAgain) {
  const postgres::TestDatabase database;
  ASSERT_EQ(postgres::Migrate(database.options(), Migrations(), absl::Seconds(10)), absl::OkStatus());
  database.Query(
      "INSERT INTO account (owner, kind, currency, balance) VALUES ('ida', 1, 'EUR', 7), ('joe', 1, 'USD', 4)");
  auto& imbalance = telemetry::Gauge("flotilla_ledger_imbalance_minor_units", "");
  auto& audited = telemetry::Gauge("flotilla_ledger_audited_time_seconds", "");
  const LedgerAudit audit(database.options(), {.period = absl::Milliseconds(20)});
  EXPECT_TRUE(Becomes(imbalance, 11)) << imbalance.Value();
  EXPECT_GT(audited.Value(), 0);
  database.Query(
      "INSERT INTO account (owner, kind, currency, balance, may_go_negative)"
      " VALUES ('world', 3, 'EUR', -7, true), ('world', 3, 'USD', -4, true)");
  EXPECT_TRUE(Becomes(imbalance, 0)) << imbalance.Value();
}

TEST(LedgerAudit, OpenDifferencesAreCountedByClass) {
  const postgres::TestDatabase database;
  ASSERT_EQ(postgres::Migrate(database.options(), Migrations(), absl::Seconds(10)), absl::OkStatus());
  database.Query(
      "INSERT INTO difference (statement_id, class, line, provider_reference, kind, theirs, ours, currency)"
      " VALUES ('s', 1, 2, 'a', 1, 5, 0, 'EUR'), ('s', 4, 3, 'b', 1, 5, 0, 'EUR'), ('s', 4, 4, 'b', 1, 5, 0, 'EUR');"
      "INSERT INTO difference (order_id, class, provider_reference, kind, theirs, ours, currency)"
      " VALUES ('00000000-0000-7000-8000-000000000001', 9, '', 1, 0, 5, 'EUR')");
  auto& duplicates = telemetry::Gauge("flotilla_payment_open_differences", "", {{"class", "duplicate"}});
  const LedgerAudit audit(database.options(), {.period = absl::Milliseconds(20)});
  EXPECT_TRUE(Becomes(duplicates, 2)) << duplicates.Value();
  EXPECT_EQ(telemetry::Gauge("flotilla_payment_open_differences", "", {{"class", "order_unfinished"}}).Value(), 1);
  database.Query("UPDATE difference SET state = 2, closed_at = now() WHERE line = 3");
  EXPECT_TRUE(Becomes(duplicates, 1)) << duplicates.Value();
}

TEST(LedgerAudit, ChargesThatWaitInVainAreCountedByHowTheirOrdersStand) {
  const postgres::TestDatabase database;
  ASSERT_EQ(postgres::Migrate(database.options(), Migrations(), absl::Seconds(10)), absl::OkStatus());
  database.Query(
      "INSERT INTO charge (order_id, state) SELECT format('00000000-0000-7000-8000-00000000000%s', n)::uuid, 4 "
      "FROM generate_series(1, 5) AS n;"
      "INSERT INTO settlement_wait (order_id, charged_at, standing, ask_at, since) "
      "SELECT format('00000000-0000-7000-8000-00000000000%s', n)::uuid, now(), standing, now(), now() - age "
      "FROM (VALUES (1, 1, interval '1 day'), (2, 2, '1 minute'), (3, 4, '1 hour'), (4, 4, '1 minute'), (5, 4, '1 "
      "day')) "
      "AS w(n, standing, age)");
  auto& unknown = telemetry::Gauge("flotilla_payment_unsettled", "", {{"standing", "unknown"}});
  auto& under_way = telemetry::Gauge("flotilla_payment_unsettled", "", {{"standing", "under_way"}});
  const LedgerAudit audit(database.options(), {.period = absl::Milliseconds(20)});
  EXPECT_TRUE(Becomes(unknown, 2)) << unknown.Value();
  EXPECT_EQ(under_way.Value(), 0);
  database.Query("DELETE FROM settlement_wait");
  EXPECT_TRUE(Becomes(unknown, 0)) << unknown.Value();
}

TEST(LedgerAudit, ACursorThatStandsStillFallsBehind) {
  const postgres::TestDatabase database;
  ASSERT_EQ(postgres::Migrate(database.options(), Migrations(), absl::Seconds(10)), absl::OkStatus());
  database.Query(
      "INSERT INTO transfer (kind, debit_account, credit_account, amount, currency, reference, created_at)"
      " VALUES (1, 1, 2, 5, 'EUR', 'd1', now() - interval '3 hours'), (1, 1, 2, 5, 'EUR', 'd2', now() - interval '1 "
      "hour')");
  auto& settlement = telemetry::Gauge("flotilla_payment_behind_seconds", "", {{"work", "settlement"}});
  auto& comparison = telemetry::Gauge("flotilla_payment_behind_seconds", "", {{"work", "comparison with orders"}});
  const LedgerAudit audit(
      database.options(),
      {.period = absl::Milliseconds(20), .settle_after = absl::Hours(2), .compare_orders_after = absl::Minutes(10)});
  // By whole minutes; the test may take some seconds.
  const auto minutes = [](prometheus::Gauge& gauge, int from) {
    return Eventually([&] { return gauge.Value() >= from * 60 && gauge.Value() < (from + 5) * 60; });
  };
  EXPECT_TRUE(minutes(settlement, 60)) << settlement.Value();
  EXPECT_TRUE(minutes(comparison, 170)) << comparison.Value();
  for (const char* cursor : {"settlement_cursor", "order_match_cursor"}) {
    database.Query(absl::StrCat(
        "UPDATE ", cursor, " c SET xid = t.xid, transfer_id = t.transfer_id FROM transfer t WHERE reference = 'd1'"));
  }
  EXPECT_TRUE(Becomes(settlement, 0)) << "the other one is not due yet";
  EXPECT_TRUE(minutes(comparison, 50)) << comparison.Value();
}

}  // namespace
}  // namespace flotilla::payment
