// Every refusal of payments has a reason of its own, and the contracts name exactly those that there are: each is
// provoked here, and what came is compared with the comments in the .proto files.
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "errors/errors.h"
#include "fleet/fleet.h"
#include "fleet/provider.h"
#include "flotilla/payment/v1/ledger_service.grpc.pb.h"
#include "flotilla/payment/v1/reconciliation_service.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"

namespace flotilla::fleet {
namespace {

using payment::v1::LedgerService;
using payment::v1::PaymentService;
using payment::v1::ReconciliationService;
using Reasons = std::set<std::string>;  // "NOT_FOUND UNKNOWN_CHARGE"

const char* NameOf(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::INVALID_ARGUMENT:
      return "INVALID_ARGUMENT";
    case grpc::StatusCode::NOT_FOUND:
      return "NOT_FOUND";
    case grpc::StatusCode::ALREADY_EXISTS:
      return "ALREADY_EXISTS";
    case grpc::StatusCode::FAILED_PRECONDITION:
      return "FAILED_PRECONDITION";
    case grpc::StatusCode::UNAUTHENTICATED:
      return "UNAUTHENTICATED";
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return "RESOURCE_EXHAUSTED";
    case grpc::StatusCode::ABORTED:
      return "ABORTED";
    default:
      return "another code";
  }
}

// What the comment above each RPC of a contract says: "NOT_FOUND (UNKNOWN_CHARGE, ...)".
std::map<std::string, Reasons> Documented(const std::string& proto) {
  std::ifstream in(absl::StrCat(FLOTILLA_PROTO_FOLDER, "/flotilla/", proto));
  EXPECT_TRUE(in) << proto;
  std::map<std::string, Reasons> documented;
  std::string comment;
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    if (std::regex_search(line, match, std::regex("^ *// ?(.*)$"))) {
      comment += match[1].str() + " ";
    } else {
      if (std::regex_search(line, match, std::regex("^ *rpc (\\w+)"))) {
        Reasons& reasons = documented[match[1]];
        const std::regex refusal("\\b([A-Z_]{5,}) \\(([A-Z_]+(?:, [A-Z_]+)*)");
        for (std::sregex_iterator it(comment.begin(), comment.end(), refusal), end; it != end; ++it) {
          for (absl::string_view reason : absl::StrSplit((*it)[2].str(), ", ")) {
            reasons.insert(absl::StrCat((*it)[1].str(), " ", reason));
          }
        }
      }
      comment.clear();
    }
  }
  return documented;
}

class Refusals : public testing::Test {
 protected:
  Refusals() {
    for (const char* service : {"inventory", "notify", "order"}) fleet.Start(service);
    fleet.Start("payment", {"--provider_secrets=secret", "--settle_after=1h", "--reconcile_every=1h"});
    for (const char* service : {"inventory", "notify", "order", "payment"}) {
      fleet.WaitServing(absl::StrCat(service, "-1"));
    }
    payments = fleet.payments();
  }

  // The RPC refused for a reason that no other situation of this RPC has.
  void Refused(const std::string& rpc, const Result& result, const std::string& reason) {
    EXPECT_EQ(result.reason, reason) << rpc << ": " << result;
    EXPECT_TRUE(seen[rpc].insert(absl::StrCat(NameOf(result.status.error_code()), " ", result.reason)).second)
        << rpc << ": " << result.reason << " has two meanings";
  }
  void ExpectDocumented(const std::string& proto) {
    for (auto [rpc, reasons] : Documented(proto)) {
      reasons.erase("PERMISSION_DENIED NOT_THE_OWNER");  // users are known by their tokens only: identity_test
      EXPECT_EQ(seen[rpc], reasons) << proto << ": " << rpc;
    }
  }

  std::string NewOrder() { return absl::StrCat("00000000-0000-7000-8000-000000000", 100 + ++orders); }

  template <class Request>
  static Request Of(const std::string& order_id, std::int64_t amount = 0, const std::string& currency = "EUR") {
    Request request;
    request.set_order_id(order_id);
    if constexpr (requires { request.mutable_amount(); }) {
      if (amount > 0) {
        request.mutable_amount()->set_minor_units(amount);
        request.mutable_amount()->set_currency_code(currency);
      }
    }
    if constexpr (requires { request.set_user_id(""); }) request.set_user_id("rose");
    return request;
  }

  Result Charge(const std::string& order_id, std::int64_t amount, const std::string& currency = "EUR",
                const std::string& user = "rose") {
    auto request = Of<payment::v1::ChargeRequest>(order_id, amount, currency);
    request.set_user_id(user);
    payment::v1::ChargeResponse response;
    return Call(*payments, &PaymentService::Stub::Charge, "", request, &response);
  }
  Result Hold(const std::string& order_id, std::int64_t amount, absl::Time expires_at = absl::Now() + absl::Hours(1),
              const std::string& currency = "EUR", const std::string& user = "rose") {
    auto request = Of<payment::v1::AuthorizeRequest>(order_id, amount, currency);
    request.mutable_expire_time()->set_seconds(absl::ToUnixSeconds(expires_at));
    request.set_user_id(user);
    payment::v1::AuthorizeResponse response;
    return Call(*payments, &PaymentService::Stub::Authorize, "", request, &response);
  }
  Result Capture(const std::string& order_id, std::int64_t amount = 0, const std::string& currency = "EUR") {
    payment::v1::CaptureResponse response;
    return Call(*payments, &PaymentService::Stub::Capture, "",
                Of<payment::v1::CaptureRequest>(order_id, amount, currency), &response);
  }
  Result Void(const std::string& order_id) {
    payment::v1::VoidResponse response;
    return Call(*payments, &PaymentService::Stub::Void, "", Of<payment::v1::VoidRequest>(order_id), &response);
  }
  Result Settle(const std::string& order_id) {
    payment::v1::SettleResponse response;
    return Call(*payments, &PaymentService::Stub::Settle, "", Of<payment::v1::SettleRequest>(order_id), &response);
  }
  Result Refund(const std::string& order_id, const std::string& refund_id, std::int64_t amount = 0,
                const std::string& currency = "EUR") {
    auto request = Of<payment::v1::RefundRequest>(order_id, amount, currency);
    request.set_refund_id(refund_id);
    payment::v1::RefundResponse response;
    return Call(*payments, &PaymentService::Stub::Refund, "", request, &response);
  }
  // The reference goes to *reference.
  Result Expect(const std::string& order_id, std::int64_t amount, std::string* reference = nullptr,
                absl::Time expires_at = absl::Now() + absl::Minutes(10), const std::string& user = "rose") {
    auto request = Of<payment::v1::CreatePaymentRequest>(order_id, amount);
    request.mutable_expire_time()->set_seconds(absl::ToUnixSeconds(expires_at));
    request.set_user_id(user);
    payment::v1::CreatePaymentResponse response;
    const Result result = Call(*payments, &PaymentService::Stub::CreatePayment, "", request, &response);
    if (reference != nullptr) *reference = response.reference();
    return result;
  }
  Result Deposit(const std::string& user, const std::string& id, std::int64_t amount, const std::string& currency) {
    payment::v1::DepositRequest request;
    request.set_user_id(user);
    request.set_deposit_id(id);
    request.mutable_amount()->set_currency_code(currency);
    request.mutable_amount()->set_minor_units(amount);
    payment::v1::DepositResponse response;
    return Call(*payments, &PaymentService::Stub::Deposit, "", request, &response);
  }
  Result Import(const std::string& id, const std::string& csv, std::size_t cut_off = 0) {
    const auto stub = ReconciliationService::NewStub(fleet.channel("payment-1"));
    grpc::ClientContext context;
    SetCall(context, "olga", 20000);
    payment::v1::ImportStatementResponse response;
    const auto writer = stub->ImportStatement(&context, &response);
    payment::v1::ImportStatementRequest request;
    request.mutable_header()->set_statement_id(id);
    request.mutable_header()->mutable_start_time()->set_seconds(1);
    request.mutable_header()->mutable_end_time()->set_seconds(2);
    request.mutable_header()->set_size_bytes(static_cast<std::int64_t>(csv.size() + cut_off));
    writer->Write(request);
    for (std::size_t at = 0; at < csv.size(); at += 100'000) {
      request.set_chunk(csv.substr(at, 100'000));
      if (!writer->Write(request)) break;
    }
    writer->WritesDone();
    return Explain(writer->Finish());
  }

  Fleet fleet;
  std::unique_ptr<PaymentService::Stub> payments;
  std::map<std::string, Reasons> seen;  // by RPC
  int orders = 0;
};

TEST_F(Refusals, OfPaymentsAreDistinctAndDocumented) {
  fleet.OpenWallet("rose", 1000);
  const std::string charged = NewOrder(), refunded = NewOrder(), voided = NewOrder(), held = NewOrder(),
                    captured = NewOrder(), expired = NewOrder(), refused = NewOrder(), awaited = NewOrder(),
                    unpaid = NewOrder();
  EXPECT_TRUE(Charge(charged, 100).status.ok());
  EXPECT_TRUE(Hold(refunded, 100).status.ok());
  EXPECT_TRUE(Capture(refunded).status.ok());
  EXPECT_TRUE(Refund(refunded, "").status.ok());
  EXPECT_TRUE(Void(voided).status.ok());
  EXPECT_TRUE(Hold(held, 100).status.ok());
  EXPECT_TRUE(Hold(captured, 100).status.ok());
  EXPECT_TRUE(Capture(captured, 50).status.ok());
  const absl::Time soon = absl::Now() + absl::Seconds(5);
  EXPECT_TRUE(Hold(expired, 100, soon).status.ok());
  std::string reference, first, repeated;
  EXPECT_TRUE(Expect(awaited, 100, &reference).status.ok());
  EXPECT_TRUE(Expect(unpaid, 100, &first, soon).status.ok());
  ASSERT_TRUE(fleet.WaitForQuery("payment", "SELECT count(*) FROM charge WHERE state = 7", 2, 60));

  Refused("Charge", Charge(refused, 100000), "INSUFFICIENT_FUNDS");
  Refused("Charge", Charge(NewOrder(), 1, "USD"), "UNKNOWN_ACCOUNT");
  Refused("Charge", Charge(voided, 100), "CHARGE_VOIDED");
  const std::string back = NewOrder();
  EXPECT_TRUE(Charge(back, 100).status.ok() && Refund(back, "r").status.ok());
  Refused("Charge", Charge(back, 100), "CHARGE_REFUNDED");
  Refused("Charge", Charge(charged, 100, "EUR", "ron"), "CHARGE_USER_MISMATCH");
  Refused("Charge", Charge(charged, 101), "CHARGE_AMOUNT_MISMATCH");
  Refused("Charge", Charge(held, 100), "CHARGE_METHOD_MISMATCH");

  Refused("Authorize", Hold(NewOrder(), 100000), "INSUFFICIENT_FUNDS");
  Refused("Authorize", Hold(NewOrder(), 1, absl::Now() + absl::Hours(1), "USD"), "UNKNOWN_ACCOUNT");
  Refused("Authorize", Hold(voided, 100), "CHARGE_VOIDED");
  Refused("Authorize", Hold(refunded, 100), "CHARGE_REFUNDED");
  Refused("Authorize", Hold(held, 100, absl::Now() + absl::Hours(1), "EUR", "ron"), "CHARGE_USER_MISMATCH");
  Refused("Authorize", Hold(held, 101), "CHARGE_AMOUNT_MISMATCH");
  Refused("Authorize", Hold(awaited, 100), "CHARGE_METHOD_MISMATCH");
  // The very same call as at first, whose time has passed; a new one with such a time is told so.
  Refused("Authorize", Hold(expired, 100, soon), "AUTHORIZATION_EXPIRED");
  EXPECT_EQ(Hold(NewOrder(), 100, soon).field, "expire_time");

  Refused("Capture", Capture(NewOrder()), "UNKNOWN_CHARGE");
  Refused("Capture", Capture(held, 101), "CAPTURE_EXCEEDS_AUTHORIZED");
  Refused("Capture", Capture(held, 1, "USD"), "CURRENCY_MISMATCH");
  Refused("Capture", Capture(expired), "AUTHORIZATION_EXPIRED");
  Refused("Capture", Capture(voided), "CHARGE_VOIDED");
  Refused("Capture", Capture(refused), "CHARGE_REFUSED");
  Refused("Capture", Capture(awaited), "NOT_AUTHORIZED");
  Refused("Capture", Capture(captured, 51), "CAPTURE_MISMATCH");

  Refused("Void", Void(captured), "ALREADY_CAPTURED");
  // What has nothing that could be given back or split: each for its own reason.
  const std::map<std::string, std::string> empty = {
      {NewOrder(), "UNKNOWN_CHARGE"},     {refused, "CHARGE_REFUSED"}, {refunded, "CHARGE_REFUNDED"},
      {voided, "CHARGE_VOIDED"},          {held, "NOT_CAPTURED"},      {awaited, "NOT_PAID"},
      {expired, "AUTHORIZATION_EXPIRED"}, {unpaid, "PAYMENT_EXPIRED"}};
  for (const auto& [order, reason] : empty) {
    Refused("Settle", Settle(order), reason);
    Refused("Refund", Refund(order, "r"), reason);
  }

  EXPECT_TRUE(Refund(charged, "r1", 40).status.ok());
  Refused("Refund", Refund(charged, "r2", 61), "REFUND_EXCEEDS_CAPTURED");
  Refused("Refund", Refund(charged, "r2", 1, "USD"), "CURRENCY_MISMATCH");
  Refused("Refund", Refund(charged, "r1", 41), "REFUND_MISMATCH");

  Refused("CreatePayment", Expect(voided, 100), "CHARGE_VOIDED");
  Refused("CreatePayment", Expect(awaited, 100, nullptr, absl::Now() + absl::Minutes(10), "ron"),
          "CHARGE_USER_MISMATCH");
  Refused("CreatePayment", Expect(awaited, 101), "CHARGE_AMOUNT_MISMATCH");
  Refused("CreatePayment", Expect(held, 100), "CHARGE_METHOD_MISMATCH");
  EXPECT_TRUE(Expect(unpaid, 100, &repeated, soon).status.ok());
  EXPECT_EQ(repeated, first);

  Refused("Deposit", Deposit("nobody", "d", 1, "EUR"), "UNKNOWN_ACCOUNT");
  Refused("Deposit", Deposit("rose", "open-rose", 1, "EUR"), "IDEMPOTENCY_KEY_REUSED");
  // The world has paid in nearly all that it can.
  fleet.Query("payment", "UPDATE account SET balance = -9223372036854775000 WHERE kind = 3 RETURNING 1");
  Refused("Deposit", Deposit("rose", "too-much", 1000, "EUR"), "BALANCE_LIMIT");
  payment::v1::GetAccountRequest account;
  account.set_user_id("nobody");
  account.set_currency_code("EUR");
  payment::v1::GetAccountResponse found;
  Refused("GetAccount", Call(*payments, &PaymentService::Stub::GetAccount, "", account, &found), "UNKNOWN_ACCOUNT");

  Provider provider(fleet.payments(), "secret");
  const auto word = [&](const Callback& callback) { return provider.Explained(callback); };
  Callback forged{.event_id = "e", .reference = reference, .amount = 100};
  Refused("HandleCallback", Provider(fleet.payments(), "guessed").Explained(forged), "BAD_SIGNATURE");
  Refused("HandleCallback", word({.event_id = "e", .reference = reference, .amount = 100, .age = absl::Minutes(6)}),
          "STALE_TIMESTAMP");
  Refused("HandleCallback", word({.event_id = "", .reference = reference, .amount = 100}), "MALFORMED_CALLBACK");
  Refused("HandleCallback", word({.event_id = "e", .reference = "stranger", .amount = 100}), "UNKNOWN_REFERENCE");
  Refused("HandleCallback", word({.event_id = "e", .reference = reference, .amount = 99}), "AMOUNT_MISMATCH");
  const auto owe = [&](std::int64_t amount) {
    fleet.Query("payment", absl::StrCat("UPDATE account SET balance = ", -amount, " WHERE kind = 7 RETURNING 1"));
  };
  owe(1'000'000'000'000'000'000 - 99);
  Refused("HandleCallback", word({.event_id = "e", .reference = reference, .amount = 100}), "BALANCE_LIMIT");
  owe(0);
  EXPECT_TRUE(word({.event_id = "e", .reference = reference, .amount = 100}).status.ok());
  Refused("HandleCallback", word({.event_id = "e", .reference = reference, .succeeded = false, .amount = 100}),
          "EVENT_REUSED");
  payment::v1::BatchGetPaymentsRequest asked;
  asked.add_order_ids(NewOrder());
  asked.add_order_ids("x");
  payment::v1::BatchGetPaymentsResponse payments;
  EXPECT_TRUE(Call(*fleet.payments(), &PaymentService::Stub::BatchGetPayments, "", asked, &payments).status.ok());
  Refused("BatchGetPayments", Explain(errors::ToGrpc(errors::FromProto(payments.results(0).error()))),
          "UNKNOWN_PAYMENT");
  const Result malformed = Explain(errors::ToGrpc(errors::FromProto(payments.results(1).error())));
  Refused("BatchGetPayments", malformed, "INVALID_FIELD");
  EXPECT_EQ(malformed.field, "order_ids[1]");
  ExpectDocumented("payment/v1/payment_service.proto");
}

TEST_F(Refusals, OfTheLedgerAndTheReconciliationAreDistinctAndDocumented) {
  const auto ledger = LedgerService::NewStub(fleet.channel("payment-1"));
  payment::v1::GetStatementRequest statement;
  statement.set_kind(payment::v1::ACCOUNT_KIND_WALLET);
  statement.set_user_id("nobody");
  statement.set_currency_code("EUR");
  payment::v1::GetStatementResponse read;
  Refused("GetStatement", Call(*ledger, &LedgerService::Stub::GetStatement, "", statement, &read), "UNKNOWN_ACCOUNT");
  payment::v1::VerifyJournalRequest verify;
  verify.set_after_block(1000);
  payment::v1::VerifyJournalResponse verified;
  Refused("VerifyJournal", Call(*ledger, &LedgerService::Stub::VerifyJournal, "", verify, &verified), "UNKNOWN_BLOCK");
  ExpectDocumented("payment/v1/ledger_service.proto");

  const std::string header = "provider_reference,kind,amount,currency,time\n",
                    row = "a,charge,1,EUR,1970-01-01T00:00:01Z\n";
  std::string endless = header;
  for (int i = 0; i <= 50'000; ++i) endless += row;
  Refused("ImportStatement", Import("bad", header + "a,charge\n"), "MALFORMED_STATEMENT");
  Refused("ImportStatement", Import("endless", endless), "STATEMENT_TOO_LONG");
  Refused("ImportStatement", Import("cut", header + row, row.size()), "STATEMENT_INCOMPLETE");
  EXPECT_TRUE(Import("s", header + row).status.ok());
  Refused("ImportStatement", Import("s", header), "STATEMENT_REUSED");
  const auto reconciliation = ReconciliationService::NewStub(fleet.channel("payment-1"));
  const auto withdraw = [&](const std::string& id, const std::string& user) {
    payment::v1::WithdrawStatementRequest request;
    request.set_statement_id(id);
    request.set_note("the wrong file");
    payment::v1::WithdrawStatementResponse response;
    return Call(*reconciliation, &ReconciliationService::Stub::WithdrawStatement, user, request, &response);
  };
  EXPECT_TRUE(Import("twice", header + row).status.ok());
  Refused("WithdrawStatement", withdraw("twice", ""), "NO_USER");
  EXPECT_TRUE(withdraw("twice", "olga").status.ok());
  Refused("ImportStatement", Import("twice", header + row), "STATEMENT_WITHDRAWN");
  Refused("WithdrawStatement", withdraw("unknown", "olga"), "UNKNOWN_STATEMENT");
  payment::v1::ResolveDifferenceRequest resolve;
  resolve.set_difference_id(fleet.Query("payment", "SELECT difference_id FROM difference WHERE statement_id = 's'"));
  resolve.set_resolution(payment::v1::RESOLUTION_DISMISS);
  resolve.set_note("why");
  const auto resolved = [&](const std::string& user) {
    payment::v1::ResolveDifferenceResponse response;
    return Call(*reconciliation, &ReconciliationService::Stub::ResolveDifference, user, resolve, &response);
  };
  Refused("ResolveDifference", resolved(""), "NO_USER");
  EXPECT_TRUE(resolved("olga").status.ok());
  resolve.set_note("why not");
  Refused("ResolveDifference", resolved("olga"), "DIFFERENCE_CLOSED");
  Refused("WithdrawStatement", withdraw("s", "olga"), "STATEMENT_RESOLVED");
  resolve.set_difference_id(1'000'000);
  Refused("ResolveDifference", resolved("olga"), "UNKNOWN_DIFFERENCE");
  // Its counterpart comes between the list and the operator's decision.
  std::string reference;
  EXPECT_TRUE(Expect(NewOrder(), 1, &reference).status.ok());
  EXPECT_TRUE(Import("late", header + reference + ",charge,1,EUR,1970-01-01T00:00:01Z\n").status.ok());
  const auto open = [&](const std::string& where) {
    return fleet.Query("payment", "SELECT difference_id FROM difference WHERE state = 1 AND " + where);
  };
  resolve.set_difference_id(open("statement_id = 'late'"));
  resolve.set_resolution(payment::v1::RESOLUTION_CORRECT);
  EXPECT_TRUE(Provider(fleet.payments(), "secret")
                  .Explained({.event_id = "e", .reference = reference, .amount = 1})
                  .status.ok());
  Refused("ResolveDifference", resolved("olga"), "DIFFERENCE_GONE");
  EXPECT_TRUE(Import("large", header + "b,charge,2,EUR,1970-01-01T00:00:01Z\n").status.ok());
  resolve.set_difference_id(open("statement_id = 'large'"));
  fleet.Query("payment", "UPDATE account SET balance = 1 - 1000000000000000000 WHERE kind = 7 RETURNING 1");
  Refused("ResolveDifference", resolved("olga"), "BALANCE_LIMIT");
  resolve.set_difference_id(
      fleet.Query("payment",
                  "INSERT INTO difference (order_id, class, provider_reference, kind, theirs, ours, currency) VALUES"
                  " ('00000000-0000-7000-8000-00000000000d', 5, '', 1, 0, 5, 'EUR') RETURNING difference_id"));
  Refused("ResolveDifference", resolved("olga"), "NOT_CORRECTABLE");
  ExpectDocumented("payment/v1/reconciliation_service.proto");
}

TEST_F(Refusals, OfRefundsAndCancellationsOfOrdersAreDistinctAndDocumented) {
  fleet.PutSku("thing", 100, 10);
  fleet.OpenWallet("rose", 1000);
  const auto stub = fleet.orders();
  const auto order = [&](const std::string& key, int quantity) {
    return PlaceOrder(*stub, "rose", key, {{"thing", quantity}}).order.order_id();
  };
  const std::string paid = order("paid", 2), refunded = order("refunded", 1), cancelled = order("cancelled", 1);
  const auto refund = [&](const std::string& id, const fleet::Refund& wanted) {
    return RefundOrder(*stub, "rose", id, wanted);
  };
  EXPECT_TRUE(refund(refunded, {"all"}).status.ok());
  EXPECT_TRUE(CancelOrder(*stub, "rose", cancelled).status.ok());
  EXPECT_TRUE(refund(paid, {"r1", 50}).status.ok());
  Refused("RefundOrder", refund(NewOrder(), {"r"}), "UNKNOWN_ORDER");
  Refused("RefundOrder", refund(cancelled, {"r"}), "ORDER_NOT_PAID");
  Refused("RefundOrder", refund(refunded, {"r"}), "ORDER_REFUNDED");
  Refused("RefundOrder", refund(paid, {"r2", 151}), "REFUND_EXCEEDS_PAID");
  Refused("RefundOrder", refund(paid, {"r2", 1, true}), "STOCK_RETURN_NEEDS_FULL_REFUND");
  Refused("RefundOrder", refund(paid, {"r2", 1, false, "USD"}), "CURRENCY_MISMATCH");
  Refused("RefundOrder", refund(paid, {"r1", 51}), "REFUND_MISMATCH");
  EXPECT_EQ(refund(paid, {"r1"}).reason, "REFUND_MISMATCH");
  Refused("CancelOrder", CancelOrder(*stub, "rose", NewOrder()), "UNKNOWN_ORDER");
  Refused("CancelOrder", CancelOrder(*stub, "rose", refunded), "ORDER_REFUNDED");
  auto documented = Documented("order/v1/order_service.proto");
  for (const char* rpc : {"RefundOrder", "CancelOrder"}) {
    documented[rpc].erase("ABORTED ORDER_BUSY");  // a matter of the moment
    EXPECT_EQ(seen[rpc], documented[rpc]) << rpc;
  }
}

}  // namespace
}  // namespace flotilla::fleet
