// The external provider's statement against the ledger, on the real fleet.
#include <optional>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "fleet/fleet.h"
#include "fleet/provider.h"
#include "flotilla/payment/v1/reconciliation_service.grpc.pb.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "payment/store/statement_store.h"
#include "testing/environment.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

using payment::v1::PaymentService;
using payment::v1::PROVIDER_KIND_CHARGE;
using payment::v1::PROVIDER_KIND_REFUND;
using payment::v1::ReconciliationService;

constexpr char kHeader[] = "provider_reference,kind,amount,currency,time\n";

class Reconciliation : public testing::Test {
 protected:
  explicit Reconciliation(const FleetOptions& options = {}) : fleet(options) {}
  void SetUp() override {
    fleet.Start("inventory");
    fleet.Start("payment", {"--provider_secrets=secret", "--reconcile_every=1s", "--statement_margin=0s"});
    fleet.Start("notify");
    fleet.Start("order");
    for (const char* instance : {"inventory-1", "payment-1", "notify-1", "order-1"}) fleet.WaitServing(instance);
    provider.emplace(fleet.payments(), "secret");
    stub = ReconciliationService::NewStub(fleet.channel("payment-1"));
  }
  // A payment that the provider is asked for; its reference.
  std::string Ask(int number, std::int64_t amount, absl::Duration time = absl::Minutes(10)) {
    payment::v1::CreatePaymentRequest request;
    request.set_order_id(absl::StrCat("00000000-0000-7000-8000-0000000000", 10 + number));
    request.set_user_id("erin");
    request.mutable_amount()->set_currency_code("EUR");
    request.mutable_amount()->set_minor_units(amount);
    request.mutable_expire_time()->set_seconds(absl::ToUnixSeconds(absl::Now() + time));
    payment::v1::CreatePaymentResponse response;
    const Result result = Call(*fleet.payments(), &PaymentService::Stub::CreatePayment, "", request, &response);
    EXPECT_TRUE(result.status.ok()) << result;
    return response.reference();
  }
  // Of the hour that ended so long ago.
  grpc::Status Import(const std::string& id, const std::string& csv, payment::v1::ImportStatementResponse* response,
                      absl::Duration ago = absl::ZeroDuration()) {
    const std::int64_t end = absl::ToUnixSeconds(absl::Now() - ago);
    grpc::ClientContext context;
    SetCall(context, "olga", 10000);
    auto writer = stub->ImportStatement(&context, response);
    payment::v1::ImportStatementRequest request;
    request.mutable_header()->set_statement_id(id);
    request.mutable_header()->mutable_start_time()->set_seconds(end - 3600);
    request.mutable_header()->mutable_end_time()->set_seconds(end);
    request.mutable_header()->set_size_bytes(static_cast<std::int64_t>(csv.size()));
    writer->Write(request);
    for (std::size_t at = 0; at < csv.size(); at += 50) {
      request.set_chunk(csv.substr(at, 50));
      if (!writer->Write(request)) break;
    }
    writer->WritesDone();
    return writer->Finish();
  }
  // All open ones.
  std::vector<payment::v1::Difference> Differences() {
    payment::v1::ListDifferencesResponse listed;
    EXPECT_TRUE(Call(*stub, &ReconciliationService::Stub::ListDifferences, "olga", {}, &listed).status.ok());
    return {listed.differences().begin(), listed.differences().end()};
  }
  static std::string Row(const std::string& reference, std::int64_t amount) {
    return absl::StrCat(reference, ",charge,", amount, ",EUR,",
                        absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::UTCTimeZone()), "\n");
  }

  Fleet fleet;
  std::optional<Provider> provider;
  std::unique_ptr<ReconciliationService::Stub> stub;
};

TEST_F(Reconciliation, LateWordsCloseDifferencesAndOperatorsTheOthers) {
  const std::string paid = Ask(1, 100), late = Ask(2, 200);
  ASSERT_EQ(provider->Send({.event_id = "e1", .reference = paid, .amount = 100}), "");
  const std::string csv = absl::StrCat(kHeader, Row(paid, 100), Row(late, 200), Row("stranger", 7));
  payment::v1::ImportStatementResponse imported;

  const grpc::Status broken = Import("s", csv + "x,charge,much,EUR,now\n", &imported);
  EXPECT_EQ(broken.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Explain(broken).reason, "MALFORMED_STATEMENT");
  EXPECT_NE(broken.error_message().find("line 5, column amount"), std::string::npos) << broken.error_message();
  EXPECT_EQ(fleet.Query("payment", "SELECT count(*) FROM statement_line"), 0);

  const grpc::Status status = Import("s", csv, &imported);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(imported.rows(), 3);
  EXPECT_EQ(imported.open_differences(), 2);
  EXPECT_EQ(Explain(Import("s", absl::StrCat(kHeader, Row(paid, 1)), &imported)).reason, "STATEMENT_REUSED");

  // The provider's word comes at last; the schedule finds it.
  ASSERT_EQ(provider->Send({.event_id = "e2", .reference = late, .amount = 200}), "");
  EXPECT_TRUE(fleet.WaitForQuery("payment", "SELECT count(*) FROM difference WHERE state = 1", 1, 30));

  const auto listed = Differences();
  ASSERT_EQ(listed.size(), 1);
  EXPECT_EQ(listed[0].provider_reference(), "stranger");
  EXPECT_EQ(listed[0].class_(), payment::v1::DIFFERENCE_CLASS_MISSING_HERE);

  payment::v1::ResolveDifferenceRequest resolve;
  resolve.set_difference_id(listed[0].difference_id());
  resolve.set_resolution(payment::v1::RESOLUTION_CORRECT);
  resolve.set_note("paid outside of the shop");
  payment::v1::ResolveDifferenceResponse resolved;
  for (int attempt = 0; attempt < 2; ++attempt) {
    ASSERT_TRUE(Call(*stub, &ReconciliationService::Stub::ResolveDifference, "olga", resolve, &resolved).status.ok());
  }
  EXPECT_EQ(resolved.difference().operator_id(), "olga");
  EXPECT_EQ(fleet.Query("payment", "SELECT count(*) FROM transfer WHERE kind = 12"), 1);
  EXPECT_EQ(fleet.Query("payment", "SELECT -balance FROM account WHERE kind = 7 AND currency = 'EUR'"), 307);
  EXPECT_TRUE(fleet.WaitForQuery("payment", "SELECT state FROM provider_statement", 2, 30));
}

// What the provider believes after a day of duplicates, forgeries, lost, late, wrong and contradicting words, against
// what the ledger made of them.
TEST_F(Reconciliation, TheProvidersOwnStatementDiffersWhereItsWordsWentWrong) {
  std::vector<std::string> references;
  const auto ask = [&](absl::Duration time = absl::Minutes(10)) {
    references.push_back(Ask(static_cast<int>(references.size()) + 1, 100, time));
    return references.back();
  };
  const auto say = [&](const std::string& event, const std::string& reference, bool succeeded = true,
                       std::int64_t amount = 100) {
    return provider->Send({.event_id = event, .reference = reference, .succeeded = succeeded, .amount = amount});
  };
  for (unsigned seed = 1; seed <= 4; ++seed) EXPECT_EQ(provider->Storm(ask(), 100, seed), "");
  // Forged: neither side has it.
  EXPECT_EQ(provider->Forge({.event_id = "forged", .reference = ask(), .amount = 100}), "BAD_SIGNATURE");
  // Too late, so the money goes back: once the provider knows of it, once it does not.
  const std::string late = ask(absl::Seconds(5)), kept = ask(absl::Seconds(5));
  ASSERT_TRUE(fleet.WaitForQuery("payment", "SELECT count(*) FROM charge WHERE state = 7", 2, 60));
  for (const std::string& reference : {late, kept}) {
    EXPECT_EQ(say("late-" + reference, reference), "");
    provider->Book(PROVIDER_KIND_CHARGE, reference, 100);
  }
  provider->Book(PROVIDER_KIND_REFUND, late, 100);
  // Its word was lost.
  const std::string lost = ask();
  provider->Book(PROVIDER_KIND_CHARGE, lost, 100);
  // No, then yes; yes, then no: the first word stands here, the last one there.
  const std::string no_yes = ask(), yes_no = ask();
  EXPECT_EQ(say("no-yes-1", no_yes, false), "");
  EXPECT_EQ(say("no-yes-2", no_yes), "");
  provider->Book(PROVIDER_KIND_CHARGE, no_yes, 100);
  EXPECT_EQ(say("yes-no-1", yes_no), "");
  EXPECT_EQ(say("yes-no-2", yes_no, false), "");
  // It takes 101 and says so, too.
  const std::string more = ask();
  EXPECT_EQ(say("more-1", more), "");
  EXPECT_EQ(say("more-2", more, true, 101), "AMOUNT_MISMATCH");
  provider->Book(PROVIDER_KIND_CHARGE, more, 101);
  // It takes the money twice.
  const std::string twice = ask();
  EXPECT_EQ(say("twice", twice), "");
  for (int i = 0; i < 2; ++i) provider->Book(PROVIDER_KIND_CHARGE, twice, 100);

  absl::SleepFor(absl::Seconds(1));  // the statement's end is in whole seconds, and all of the above before it
  payment::v1::ImportStatementResponse imported;
  const grpc::Status status = Import("own", provider->Statement(), &imported);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(imported.rows(), 12);
  EXPECT_EQ(imported.matched(), 8);
  using Line = std::tuple<payment::v1::DifferenceClass, std::string, payment::v1::ProviderKind, int, int>;
  std::vector<Line> differences;
  for (const auto& d : Differences()) {
    differences.emplace_back(d.class_(), d.provider_reference(), d.kind(), d.theirs().minor_units(),
                             d.ours().minor_units());
  }
  EXPECT_THAT(differences, testing::UnorderedElementsAre(
                               Line(payment::v1::DIFFERENCE_CLASS_MISSING_HERE, lost, PROVIDER_KIND_CHARGE, 100, 0),
                               Line(payment::v1::DIFFERENCE_CLASS_MISSING_HERE, no_yes, PROVIDER_KIND_CHARGE, 100, 0),
                               Line(payment::v1::DIFFERENCE_CLASS_MISSING_THERE, yes_no, PROVIDER_KIND_CHARGE, 0, 100),
                               Line(payment::v1::DIFFERENCE_CLASS_MISSING_THERE, kept, PROVIDER_KIND_REFUND, 0, 100),
                               Line(payment::v1::DIFFERENCE_CLASS_AMOUNT_DIFFERS, more, PROVIDER_KIND_CHARGE, 101, 100),
                               Line(payment::v1::DIFFERENCE_CLASS_DUPLICATE, twice, PROVIDER_KIND_CHARGE, 100, 0)));
  EXPECT_EQ(fleet.Query("payment", "SELECT -balance FROM account WHERE kind = 7 AND currency = 'EUR'"), 700);
}

// Killed between storing a statement and comparing it, payment compares it by itself once it runs again.
TEST_F(Reconciliation, AStatementThatWasOnlyStoredIsComparedOnSchedule) {
  const std::string paid = Ask(1, 100), late = Ask(2, 200);
  ASSERT_EQ(provider->Send({.event_id = "e1", .reference = paid, .amount = 100}), "");
  fleet.Kill("payment-1");
  {
    const absl::Time now = absl::Now();
    payment::StatementStore store({.uri = fleet.DatabaseUri("payment")});
    ASSERT_TRUE(store
                    .Import({.statement_id = "s",
                             .start = now - absl::Hours(1),
                             .end = now,
                             .lines = {{.line = 2, .reference = paid, .amount = {"EUR", 100}, .occurred_at = now},
                                       {.line = 3, .reference = late, .amount = {"EUR", 200}, .occurred_at = now}}})
                    .ok());
  }
  EXPECT_EQ(fleet.Query("payment", "SELECT count(*) FROM difference"), 0);
  fleet.Restart("payment-1");
  EXPECT_TRUE(fleet.WaitForQuery("payment", "SELECT count(*) FROM difference WHERE state = 1", 1, 60));
  EXPECT_EQ(fleet.Query("payment", "SELECT (transfer_id IS NOT NULL)::int FROM statement_line WHERE line = 2"), 1);
  EXPECT_TRUE(fleet.WaitForQuery(
      "notify",
      "SELECT count(*) FROM notification WHERE user_id = 'operations' AND event_id LIKE 'payment:statement/s/%'", 1,
      60))
      << "nobody was told";
  // So is it when the late word comes.
  fleet.KillAndRestart("payment-1");
  ASSERT_EQ(Provider(fleet.payments(), "secret").Send({.event_id = "e2", .reference = late, .amount = 200}), "");
  EXPECT_TRUE(fleet.WaitForQuery("payment", "SELECT count(*) FROM provider_statement WHERE state = 2", 1, 60));
  EXPECT_EQ(fleet.Query("payment", "SELECT count(*) FROM difference WHERE state = 2"), 1);
}

// A statement's period must have ended a while ago, so that what was booked at its end is there.
TEST_F(Reconciliation, APeriodThatEndedOnlyNowIsRefused) {
  fleet.Kill("payment-1");
  fleet.Restart("payment-1", {"--statement_margin=30m"});
  fleet.WaitServing("payment-1");
  stub = ReconciliationService::NewStub(fleet.channel("payment-1"));
  payment::v1::ImportStatementResponse imported;
  const Result young = Explain(Import("s", kHeader, &imported));  // until now
  EXPECT_EQ(young.reason, "INVALID_FIELD");
  EXPECT_EQ(young.field, "header.end_time");
  EXPECT_EQ(fleet.Query("payment", "SELECT count(*) FROM provider_statement"), 0);
  EXPECT_TRUE(Import("s", kHeader, &imported, absl::Minutes(31)).ok());
  for (const auto& [flag, rule] : {std::pair("--statement_margin=-1s", "--statement_margin: must not be negative"),
                                   std::pair("--settle_on=never", "--settle_on: must be completion or charge")}) {
    const std::string refused = fleet.Start("payment", {flag});
    EXPECT_TRUE(Eventually([&] { return !fleet.process(refused).alive(); }, absl::Seconds(60))) << flag;
    EXPECT_NE(fleet.Log(refused).find(rule), std::string::npos) << fleet.Log(refused);
  }
}

class KilledReconciliation : public Reconciliation {
 protected:
  KilledReconciliation() : Reconciliation({.bin = TestFailpointBin()}) {}
};

TEST_F(KilledReconciliation, AWithdrawalIsDoneAsAWholeOrNotAtAll) {
  const std::string paid = Ask(1, 100);
  ASSERT_EQ(provider->Send({.event_id = "e1", .reference = paid, .amount = 100}), "");
  payment::v1::WithdrawStatementRequest withdraw;
  withdraw.set_note("the wrong file");
  const auto call = [&] {
    payment::v1::WithdrawStatementResponse response;
    return Call(*stub, &ReconciliationService::Stub::WithdrawStatement, "olga", withdraw, &response).status.ok();
  };
  // Of the statement: withdrawn, and still in possession of something.
  const auto query = [&](const std::string& what) {
    return fleet.Query("payment", absl::StrCat("SELECT ", what, " FROM provider_statement s WHERE statement_id = '",
                                               withdraw.statement_id(), "'"));
  };
  const std::string matched =
      "(SELECT count(*) FROM statement_line l WHERE l.statement_id = s.statement_id AND "
      "transfer_id IS NOT NULL)";
  const std::string open = "(SELECT count(*) FROM difference d WHERE d.statement_id = s.statement_id AND state = 1)";
  for (const auto& [when, done] : {std::pair("before", false), std::pair("after", true)}) {
    SCOPED_TRACE(when);
    withdraw.set_statement_id(absl::StrCat("killed-", when));
    payment::v1::ImportStatementResponse imported;
    ASSERT_TRUE(
        Import(withdraw.statement_id(), absl::StrCat(kHeader, Row(paid, 100), Row("stranger", 7)), &imported).ok());
    EXPECT_EQ(imported.matched(), 1);
    fleet.Kill("payment-1");
    fleet.Restart("payment-1",
                  {absl::StrCat("--failpoints=commit.flotilla-payment_withdraw_reconciliation.", when, "=crash")});
    fleet.WaitServing("payment-1");
    EXPECT_FALSE(call());
    EXPECT_TRUE(Eventually([&] { return !fleet.process("payment-1").alive(); }));
    EXPECT_EQ(query("(state = 3)::int"), done);
    EXPECT_EQ(query(matched), done ? 0 : 1);
    EXPECT_EQ(query(open), done ? 0 : 1);
    fleet.Kill("payment-1");
    fleet.Restart("payment-1");
    fleet.WaitServing("payment-1");
    stub = ReconciliationService::NewStub(fleet.channel("payment-1"));
    EXPECT_TRUE(call());
    EXPECT_TRUE(call()) << "a repeat";
    EXPECT_EQ(query("state"), 3);
    EXPECT_EQ(query(matched + " + " + open), 0);
  }
  // What the withdrawn ones had is there for the right one.
  payment::v1::ImportStatementResponse imported;
  ASSERT_TRUE(Import("right", absl::StrCat(kHeader, Row(paid, 100)), &imported).ok());
  EXPECT_EQ(imported.matched(), 1);
  EXPECT_EQ(imported.open_differences(), 0);
}

}  // namespace
}  // namespace flotilla::fleet
