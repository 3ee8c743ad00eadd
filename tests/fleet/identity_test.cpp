// Who may do what, on a fleet with --auth=on: its keys and certificates come from deploy/local/dev-ca.
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "fleet/fleet.h"
#include "flotilla/notify/v1/notify_admin_service.grpc.pb.h"
#include "flotilla/order/v1/completion_service.grpc.pb.h"
#include "flotilla/payment/v1/ledger_service.grpc.pb.h"
#include "gmock/gmock.h"
#include "identity/signer.h"
#include "identity/test_ca.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

using inventory::v1::InventoryService;
using notify::v1::NotifyAdminService;
using notify::v1::NotifyService;
using order::v1::CompletionService;
using order::v1::OrderService;
using order::v1::SagaAdminService;
using payment::v1::LedgerService;
using payment::v1::PaymentService;

using Metadata = std::vector<std::pair<std::string, std::string>>;

std::string Read(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class Identity : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder = testing::TempDir() + absl::StrCat("identity-", absl::ToUnixMicros(absl::Now()));
    DevCa();
    FleetOptions options;
    options.identity = folder;
    fleet = new Fleet(options);
    fleet->StartAll();
    fleet->PutSku("sku", 100, 1000);
    fleet->OpenWallet("alice", 100000);
    fleet->OpenWallet("bob", 100000);
  }
  static void TearDownTestSuite() {
    EXPECT_EQ(fleet->Check(), "");
    delete fleet;
    fleet = nullptr;
    std::filesystem::remove_all(folder);
  }
  static void DevCa() { ASSERT_EQ(std::system((DEV_CA " " + folder.string()).c_str()), 0); }
  static identity::Signer Key(const char* file = "token.key") {
    return *identity::Signer::FromPem(Read(folder / file));
  }
  static std::string Claims(const std::string& user, const std::string& audience = identity::kDevelopmentAudience,
                            absl::Duration life = absl::Minutes(5),
                            const std::string& issuer = identity::kDevelopmentIssuer) {
    const absl::Time now = absl::Now();
    return identity::ToClaims(
        {.issuer = issuer, .audience = audience, .user = user, .role = "", .now = now, .expires = now + life});
  }
  static Metadata Bearer(const std::string& token) { return {{"authorization", "Bearer " + token}}; }

  // A client with this service's certificate.
  static std::shared_ptr<grpc::Channel> As(const std::string& service, const std::string& instance) {
    return grpc::CreateChannel(fleet->address(instance),
                               grpc::SslCredentials({.pem_root_certs = Read(folder / "ca.crt"),
                                                     .pem_private_key = Read(folder / service / "tls.key"),
                                                     .pem_cert_chain = Read(folder / service / "tls.crt")}));
  }
  // The reason of the refusal; "" where the call succeeded.
  template <class Stub, class Request, class Response>
  static std::string Try(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                         const Metadata& metadata, const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    for (const auto& [key, value] : metadata) context.AddMetadata(key, value);
    const Result result = Explain((stub.*method)(&context, request, response));
    if (result.status.ok()) return "";
    return result.reason.empty() ? result.status.error_message() : result.reason;
  }
  static std::string ListOrders(const Metadata& metadata) {
    order::v1::ListOrdersResponse response;
    return Try(*fleet->orders(), &OrderService::Stub::ListOrders, metadata, {}, &response);
  }
  static std::string Charge(const std::shared_ptr<grpc::Channel>& channel, const Metadata& metadata) {
    payment::v1::ChargeResponse response;
    return Try(*PaymentService::NewStub(channel), &PaymentService::Stub::Charge, metadata, {}, &response);
  }

  static inline Fleet* fleet = nullptr;
  static inline std::filesystem::path folder;
};

TEST_F(Identity, AnOrderIsPaidAndSeenByItsUserAlone) {
  const Result paid = PlaceOrder(*fleet->orders(), "alice", "first", {{"sku", 2}});
  ASSERT_TRUE(paid.status.ok()) << paid;
  EXPECT_EQ(paid.order.state(), order::v1::ORDER_STATE_PAID);
  const std::string id = paid.order.order_id();
  EXPECT_TRUE(GetOrder(*fleet->orders(), "alice", id).status.ok());
  EXPECT_EQ(GetOrder(*fleet->orders(), "bob", id).reason, "UNKNOWN_ORDER");
  EXPECT_EQ(GetOrder(*fleet->orders(), "bob", id).reason, GetOrder(*fleet->orders(), "", id).reason);
  EXPECT_EQ(CancelOrder(*fleet->orders(), "bob", id).reason, "UNKNOWN_ORDER");

  for (const auto& [user, sees] : {std::pair("alice", true), std::pair("bob", false)}) {
    grpc::ClientContext context;
    SetCall(context, user, 10000);
    order::v1::WatchOrderRequest request;
    request.set_order_id(id);
    const auto stub = fleet->orders();
    const auto stream = stub->WatchOrder(&context, request);
    order::v1::WatchOrderResponse response;
    EXPECT_EQ(stream->Read(&response), sees) << user;
    if (sees) context.TryCancel();
    while (stream->Read(&response)) {
    }
    const grpc::Status end = stream->Finish();
    if (!sees) EXPECT_EQ(Explain(end).reason, "UNKNOWN_ORDER");
  }
}

TEST_F(Identity, OperatorsAloneRefund) {
  const Result paid = PlaceOrder(*fleet->orders(), "alice", "refunded", {{"sku", 2}});
  ASSERT_EQ(paid.order.state(), order::v1::ORDER_STATE_PAID);
  const std::string id = paid.order.order_id();
  const auto refund = [&](const char* caller, const char* owner) {
    return RefundOrder(*fleet->orders(), caller, id, {.refund_id = "r", .amount = 50, .owner = owner});
  };
  EXPECT_EQ(refund("alice", "").reason, "NOT_AN_OPERATOR");
  EXPECT_EQ(refund("bob", "alice").reason, "NOT_AN_OPERATOR");
  EXPECT_EQ(GetOrder(*fleet->orders(), "alice", id).order.state(), order::v1::ORDER_STATE_PAID);
  EXPECT_EQ(refund("", "").reason, "UNKNOWN_ORDER");  // no order of the operator's own
  EXPECT_EQ(refund("", "bob").reason, "UNKNOWN_ORDER");
  EXPECT_EQ(refund("", "alice").order.state(), order::v1::ORDER_STATE_PARTIALLY_REFUNDED);

  // By hand, before the end of a saga is told by word.
  payment::v1::RefundResponse refunded;
  const auto by_hand = [&](const char* caller) {
    return Call(*fleet->payments(), &PaymentService::Stub::Refund, caller, {}, &refunded).reason;
  };
  EXPECT_EQ(by_hand("alice"), "NOT_AN_OPERATOR");
  EXPECT_EQ(by_hand(""), "INVALID_FIELD");  // let in: the request is empty
}

TEST_F(Identity, AGatewayOrdersForItsUsers) {
  order::v1::BatchCreateOrdersRequest request;
  auto* item = request.add_requests();
  item->set_user_id("bob");
  *item->mutable_order() = MakeOrder("by the gateway", {{"sku", 1}});
  order::v1::BatchCreateOrdersResponse response;
  const auto order = [&](const std::shared_ptr<grpc::Channel>& channel, const Metadata& metadata) {
    return Try(*OrderService::NewStub(channel), &OrderService::Stub::BatchCreateOrders, metadata, request, &response);
  };
  EXPECT_EQ(order(fleet->channel("order-1"), Bearer(Key().Sign(Claims("alice")))), "NOT_AN_OPERATOR");
  EXPECT_EQ(order(fleet->channel("order-1"), Bearer(Key().Sign(Claims("bob")))), "NOT_AN_OPERATOR");
  EXPECT_EQ(order(fleet->channel("order-1"), {}), "NO_CREDENTIALS");
  EXPECT_EQ(order(As("payment", "order-1"), {}), "NOT_AN_OPERATOR");
  EXPECT_EQ(fleet->Query("order", "SELECT count(*) FROM orders WHERE idempotency_key = 'by the gateway'"), 0);
  ASSERT_EQ(order(As("gateway", "order-1"), {}), "");
  EXPECT_EQ(response.results(0).order().user_id(), "bob");
  EXPECT_EQ(response.results(0).order().state(), order::v1::ORDER_STATE_PAID);
  EXPECT_TRUE(GetOrder(*fleet->orders(), "bob", response.results(0).order().order_id()).status.ok());
  // No user's own methods.
  EXPECT_EQ(Try(*OrderService::NewStub(As("gateway", "order-1")), &OrderService::Stub::CreateOrder, {}, item->order(),
                static_cast<order::v1::CreateOrderResponse*>(nullptr)),
            "NOT_ALLOWED");
}

TEST_F(Identity, AWalletIsItsOwners) {
  const auto stub = fleet->payments();
  payment::v1::GetAccountRequest request;
  request.set_user_id("alice");
  request.set_currency_code("EUR");
  payment::v1::GetAccountResponse response;
  const auto read = [&](const char* user) {
    return Call(*stub, &PaymentService::Stub::GetAccount, user, request, &response).reason;
  };
  EXPECT_EQ(read("alice"), "");
  EXPECT_EQ(read(""), "");  // an operator
  EXPECT_EQ(read("bob"), "NOT_THE_OWNER");
  request.set_user_id("carol");  // who has none
  EXPECT_EQ(read("bob"), "NOT_THE_OWNER");
  payment::v1::OpenAccountRequest open;
  open.set_user_id("carol");
  open.set_currency_code("EUR");
  payment::v1::OpenAccountResponse opened;
  EXPECT_EQ(Call(*stub, &PaymentService::Stub::OpenAccount, "bob", open, &opened).reason, "NOT_THE_OWNER");
  EXPECT_EQ(Call(*stub, &PaymentService::Stub::OpenAccount, "carol", open, &opened).reason, "");
  payment::v1::DepositResponse deposited;
  EXPECT_EQ(Call(*stub, &PaymentService::Stub::Deposit, "bob", {}, &deposited).reason, "NOT_AN_OPERATOR");
}

TEST_F(Identity, AdministrationNeedsTheRole) {
  const auto refused = [](auto stub, auto method, auto request, auto response) {
    EXPECT_EQ(Call(*stub, method, "", request, &response).reason, "");  // an operator
    return Call(*stub, method, "alice", request, &response).reason;
  };
  EXPECT_EQ(refused(fleet->sagas(), &SagaAdminService::Stub::ListSagas, order::v1::ListSagasRequest(),
                    order::v1::ListSagasResponse()),
            "NOT_AN_OPERATOR");
  EXPECT_EQ(refused(LedgerService::NewStub(fleet->channel("payment-1")), &LedgerService::Stub::GetTrialBalance,
                    payment::v1::GetTrialBalanceRequest(), payment::v1::GetTrialBalanceResponse()),
            "NOT_AN_OPERATOR");
  EXPECT_EQ(refused(NotifyAdminService::NewStub(fleet->channel("notify-1")), &NotifyAdminService::Stub::ListDeadLetters,
                    notify::v1::ListDeadLettersRequest(), notify::v1::ListDeadLettersResponse()),
            "NOT_AN_OPERATOR");
  EXPECT_EQ(refused(
                fleet->inventory(), &InventoryService::Stub::ListStockMovements,
                [] {
                  inventory::v1::ListStockMovementsRequest request;
                  request.set_sku("sku");
                  return request;
                }(),
                inventory::v1::ListStockMovementsResponse()),
            "NOT_AN_OPERATOR");
}

TEST_F(Identity, AServiceMayCallOnlyWhatIsItsOwn) {
  const Metadata alice = Bearer(Key().Sign(Claims("alice")));
  EXPECT_EQ(Charge(fleet->channel("payment-1"), alice), "NOT_ALLOWED");
  EXPECT_EQ(Charge(fleet->channel("payment-1"), {}), "NO_CREDENTIALS");
  EXPECT_EQ(Charge(As("inventory", "payment-1"), {}), "NOT_ALLOWED");
  EXPECT_EQ(Charge(As("inventory", "payment-1"), {{"flotilla-user", "alice"}}), "NOT_ALLOWED");
  EXPECT_EQ(Charge(As("order", "payment-1"), {}), "INVALID_FIELD");  // let in: the request is empty
  inventory::v1::ReserveResponse reserved;
  EXPECT_EQ(Try(*fleet->inventory(), &InventoryService::Stub::Reserve, alice, {}, &reserved), "NOT_ALLOWED");
  EXPECT_EQ(Try(*InventoryService::NewStub(As("payment", "inventory-1")), &InventoryService::Stub::Reserve, {}, {},
                &reserved),
            "NOT_ALLOWED");
  // What the settlement asks is for payment alone.
  const auto ask = [](const std::shared_ptr<grpc::Channel>& channel, const Metadata& metadata) {
    order::v1::BatchGetCompletionsResponse response;
    return Try(*CompletionService::NewStub(channel), &CompletionService::Stub::BatchGetCompletions, metadata, {},
               &response);
  };
  EXPECT_EQ(ask(fleet->channel("order-1"), alice), "NOT_ALLOWED");
  EXPECT_EQ(ask(As("inventory", "order-1"), {}), "NOT_ALLOWED");
  EXPECT_EQ(ask(As("payment", "order-1"), {}), "INVALID_FIELD");  // let in: the request is empty
  order::v1::ListOutcomesResponse outcomes;
  EXPECT_EQ(Try(*CompletionService::NewStub(As("inventory", "order-1")), &CompletionService::Stub::ListOutcomes, {}, {},
                &outcomes),
            "NOT_ALLOWED");
  EXPECT_EQ(Try(*CompletionService::NewStub(As("payment", "order-1")), &CompletionService::Stub::ListOutcomes, {}, {},
                &outcomes),
            "INVALID_FIELD");
  // Not even order may be a user or an operator.
  order::v1::ListOrdersResponse orders;
  EXPECT_EQ(Try(*OrderService::NewStub(As("order", "order-1")), &OrderService::Stub::ListOrders,
                {{"flotilla-user", "alice"}}, {}, &orders),
            "NOT_ALLOWED");
}

TEST_F(Identity, WhoHasNoGoodTokenIsRefused) {
  const identity::Signer key = Key();
  const std::string good = key.Sign(Claims("alice"));
  EXPECT_EQ(ListOrders(Bearer(good)), "");
  EXPECT_EQ(ListOrders({}), "NO_CREDENTIALS");
  EXPECT_EQ(ListOrders({{"flotilla-user", "alice"}}), "NO_CREDENTIALS");
  EXPECT_EQ(ListOrders(Bearer(key.Sign(Claims("alice", "flotilla", -absl::Minutes(1))))), "TOKEN_EXPIRED");
  EXPECT_EQ(ListOrders(Bearer(key.Sign(Claims("alice", "another-shop")))), "INVALID_TOKEN");
  EXPECT_EQ(ListOrders(Bearer(key.Sign(Claims("alice", "flotilla", absl::Minutes(5), "another-issuer")))),
            "INVALID_TOKEN");
  EXPECT_EQ(ListOrders(Bearer(key.Sign(Claims("")))), "INVALID_TOKEN");
  EXPECT_EQ(ListOrders(Bearer(key.Sign(Claims("../alice")))), "INVALID_TOKEN");
  // Forged: another key under our kid, changed claims, no signature, no algorithm.
  const std::string header = absl::StrCat(R"({"alg":"RS256","kid":")", key.kid(), R"("})");
  const auto forger = identity::Signer::Make(identity::Algorithm::kRs256, key.kid());
  EXPECT_EQ(ListOrders(Bearer(forger.Sign(Claims("alice")))), "INVALID_TOKEN");
  EXPECT_EQ(ListOrders(Bearer(absl::StrCat(good.substr(0, good.find('.')), ".",
                                           absl::WebSafeBase64Escape(Claims("bob")), good.substr(good.rfind('.'))))),
            "INVALID_TOKEN");
  EXPECT_EQ(ListOrders(Bearer(good.substr(0, good.rfind('.') + 1))), "INVALID_TOKEN");
  const std::string none = absl::StrCat(R"({"alg":"none","kid":")", key.kid(), R"("})");
  EXPECT_EQ(ListOrders(Bearer(
                absl::StrCat(absl::WebSafeBase64Escape(none), ".", absl::WebSafeBase64Escape(Claims("alice")), "."))),
            "INVALID_TOKEN");
  // The public key, which everybody knows, as the secret of an HMAC.
  for (const std::string& known : {Read(folder / "order" / "jwks.json"), key.Jwk()}) {
    const auto confused = identity::Signer::FromSecret(known, key.kid());
    EXPECT_EQ(ListOrders(Bearer(confused.Sign(Claims("alice")))), "INVALID_TOKEN");
    EXPECT_EQ(ListOrders(Bearer(confused.Sign(header, Claims("alice")))), "INVALID_TOKEN");
  }
  EXPECT_EQ(ListOrders(Bearer(std::string(9000, 'a'))), "INVALID_TOKEN");
  // gRPC itself stops what is beyond the limit of metadata, and the fleet serves on.
  EXPECT_NE(ListOrders(Bearer(std::string(1 << 20, 'a'))), "");
  EXPECT_EQ(ListOrders(Bearer(good)), "");
}

TEST_F(Identity, KeysAreRotatedWithoutARestart) {
  const std::string old_token = Key().Sign(Claims("alice"));
  std::filesystem::rename(folder / "token.key", folder / "token.key.old");
  DevCa();
  const std::string new_token = Key().Sign(Claims("alice"));
  EXPECT_TRUE(Eventually([&] { return ListOrders(Bearer(new_token)).empty(); }));
  EXPECT_EQ(ListOrders(Bearer(old_token)), "");
  std::filesystem::remove(folder / "token.key.old");
  DevCa();
  EXPECT_TRUE(Eventually([&] { return ListOrders(Bearer(old_token)) == "INVALID_TOKEN"; }));
  EXPECT_EQ(ListOrders(Bearer(new_token)), "");
  SignCallsWith(folder / "token.key");
}

TEST_F(Identity, CertificatesAreRotatedWithoutARestart) {
  const identity::TestCa next;
  const identity::TestCa::Pair pair = next.Issue("DNS:notify.flotilla,IP:127.0.0.1");
  identity::WriteFile(folder / "notify" / "tls.key", pair.key);
  identity::WriteFile(folder / "notify" / "tls.crt", pair.certificate);
  const auto call = [&](const std::string& ca) {
    grpc::ChannelArguments args;
    args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto stub = NotifyService::NewStub(grpc::CreateCustomChannel(
        fleet->address("notify-1"),
        grpc::SslCredentials({.pem_root_certs = ca, .pem_private_key = {}, .pem_cert_chain = {}}), args));
    notify::v1::GetMailboxResponse response;
    return Call(*stub, &NotifyService::Stub::GetMailbox, "alice", {}, &response, 500).status.ok();
  };
  EXPECT_TRUE(Eventually([&] { return call(next.certificate()); }));
  EXPECT_FALSE(call(Read(folder / "ca.crt")));
}

}  // namespace
}  // namespace flotilla::fleet
