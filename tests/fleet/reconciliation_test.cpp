// The external provider's statement against the ledger, on the real fleet.
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "fleet/fleet.h"
#include "fleet/provider.h"
#include "flotilla/payment/v1/reconciliation_service.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"

namespace flotilla::fleet {
namespace {

using payment::v1::PaymentService;
using payment::v1::ReconciliationService;

constexpr char kHeader[] = "provider_reference,kind,amount,currency,time\n";

class Reconciliation : public testing::Test {
 protected:
  void SetUp() override {
    fleet.Start("inventory");
    fleet.Start("payment", {"--provider_secrets=secret", "--reconcile_every=1s"});
    fleet.Start("notify");
    fleet.Start("order");
    for (const char* instance : {"inventory-1", "payment-1", "notify-1", "order-1"}) fleet.WaitServing(instance);
    provider.emplace(fleet.payments(), "secret");
    stub = ReconciliationService::NewStub(fleet.channel("payment-1"));
  }
  // A payment that the provider is asked for; its reference.
  std::string Ask(int number, std::int64_t amount) {
    payment::v1::CreatePaymentRequest request;
    request.set_order_id(absl::StrCat("00000000-0000-7000-8000-00000000000", number));
    request.set_user_id("erin");
    request.mutable_amount()->set_currency_code("EUR");
    request.mutable_amount()->set_minor_units(amount);
    request.mutable_expire_time()->set_seconds(absl::ToUnixSeconds(absl::Now()) + 600);
    payment::v1::CreatePaymentResponse response;
    const Result result = Call(*fleet.payments(), &PaymentService::Stub::CreatePayment, "", request, &response);
    EXPECT_TRUE(result.status.ok()) << result.status.error_message();
    return response.reference();
  }
  grpc::Status Import(const std::string& id, const std::string& csv, payment::v1::ImportStatementResponse* response) {
    grpc::ClientContext context;
    SetCall(context, "olga", 10000);
    auto writer = stub->ImportStatement(&context, response);
    payment::v1::ImportStatementRequest request;
    request.mutable_header()->set_statement_id(id);
    request.mutable_header()->mutable_start_time()->set_seconds(absl::ToUnixSeconds(absl::Now()) - 3600);
    request.mutable_header()->mutable_end_time()->set_seconds(absl::ToUnixSeconds(absl::Now()));
    writer->Write(request);
    for (std::size_t at = 0; at < csv.size(); at += 50) {
      request.set_chunk(csv.substr(at, 50));
      if (!writer->Write(request)) break;
    }
    writer->WritesDone();
    return writer->Finish();
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

  payment::v1::ListDifferencesRequest list;
  payment::v1::ListDifferencesResponse listed;
  ASSERT_TRUE(Call(*stub, &ReconciliationService::Stub::ListDifferences, "olga", list, &listed).status.ok());
  ASSERT_EQ(listed.differences_size(), 1);
  EXPECT_EQ(listed.differences(0).provider_reference(), "stranger");
  EXPECT_EQ(listed.differences(0).class_(), payment::v1::DIFFERENCE_CLASS_MISSING_HERE);

  payment::v1::ResolveDifferenceRequest resolve;
  resolve.set_difference_id(listed.differences(0).difference_id());
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

}  // namespace
}  // namespace flotilla::fleet
