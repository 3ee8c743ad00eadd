#include "identity/interceptor.h"

#include <random>

#include "absl/strings/str_cat.h"
#include "async/task.h"
#include "errors/errors.h"
#include "flotilla/order/v1/order_service.grpc.pb.h"
#include "flotilla/order/v1/saga_admin_service.grpc.pb.h"
#include "flotilla/payment/v1/payment_service.grpc.pb.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "identity/signer.h"
#include "identity/test_ca.h"
#include "identity/tls.h"
#include "testing/environment.h"
#include "testing/process.h"

namespace flotilla::identity {
namespace {

using order::v1::OrderService;
using order::v1::SagaAdminService;
using payment::v1::PaymentService;

using Metadata = std::vector<std::pair<std::string, std::string>>;

// One server with a method of every kind; GetOrder answers who the caller is taken for.
class GuardTest : public testing::Test {
 protected:
  GuardTest() : folder_(testing::TempDir() + absl::StrCat("guard-", std::random_device{}())) {
    std::filesystem::create_directories(folder_);
    const TestCa::Pair own = ca_.Issue("DNS:order.flotilla");
    const TlsFiles files{.certificate = folder_ / "cert", .key = folder_ / "key", .ca = folder_ / "ca"};
    WriteFile(files.certificate, own.certificate);
    WriteFile(files.key, own.key);
    WriteFile(files.ca, ca_.certificate());
    const auto keys = *KeySet::Parse(absl::StrCat(R"({"keys":[)", signer_.Jwk(), "]}"));
    probes_ = FreePort();
    server_ = std::make_unique<rpc::Server>(rpc::ServerOptions{.credentials = LoadTls(files)->server,
                                                               .health_listen = absl::StrCat("127.0.0.1:", probes_)});
    server_->AddInterceptor(std::make_shared<Guard>(std::make_unique<TokenVerifier>(
        TokenVerifier::Options{.issuer = "issuer", .audience = "flotilla", .leeway = absl::ZeroDuration()},
        [keys] { return keys; })));
    Serve();
    EXPECT_TRUE(server_->Start().ok());
  }
  ~GuardTest() override { std::filesystem::remove_all(folder_); }

  template <class Service, class Request, class Response, class Requester>
  void Add(std::shared_ptr<Service> service, Requester requester, const char* method) {
    server_->Unary(service.get(), requester, method,
                   [](rpc::Call&, const Request&) -> async::Task<absl::StatusOr<Response>> { co_return Response(); });
  }
  void Serve() {
    const auto orders = std::make_shared<OrderService::AsyncService>();
    server_->AddService(orders);
    server_->Unary(orders.get(), &OrderService::AsyncService::RequestGetOrder,
                   "flotilla.order.v1.OrderService/GetOrder",
                   [](rpc::Call& call,
                      const order::v1::GetOrderRequest&) -> async::Task<absl::StatusOr<order::v1::GetOrderResponse>> {
                     order::v1::GetOrderResponse response;
                     response.mutable_order()->set_order_id(absl::StrCat(call.user_id, call.for_any_user ? "+" : ""));
                     co_return response;
                   });
    server_->ServerStreaming(orders.get(), &OrderService::AsyncService::RequestWatchOrder,
                             "flotilla.order.v1.OrderService/WatchOrder",
                             [](rpc::Call& call, const order::v1::WatchOrderRequest&,
                                rpc::ServerWriter<order::v1::WatchOrderResponse>&) -> async::Task<absl::Status> {
                               while (!call.cancelled()) co_await async::SleepFor(absl::Milliseconds(10));
                               co_return absl::UnavailableError("cancelled");
                             });
    server_->BidiStreaming(orders.get(), &OrderService::AsyncService::RequestWatchOrders,
                           "flotilla.order.v1.OrderService/WatchOrders",
                           [](rpc::Call&, rpc::ServerReader<order::v1::WatchOrdersRequest>& reader,
                              rpc::ServerWriter<order::v1::WatchOrdersResponse>& writer) -> async::Task<absl::Status> {
                             for (order::v1::WatchOrdersRequest request;;) {
                               const bool more = co_await reader.Read(&request);
                               if (!more) co_return absl::OkStatus();
                               const bool written = co_await writer.Write(order::v1::WatchOrdersResponse());
                               if (!written) co_return absl::OkStatus();
                             }
                           });
    const auto sagas = std::make_shared<SagaAdminService::AsyncService>();
    server_->AddService(sagas);
    Add<SagaAdminService::AsyncService, order::v1::ListSagasRequest, order::v1::ListSagasResponse>(
        sagas, &SagaAdminService::AsyncService::RequestListSagas, "flotilla.order.v1.SagaAdminService/ListSagas");
    const auto payments = std::make_shared<PaymentService::AsyncService>();
    server_->AddService(payments);
    Add<PaymentService::AsyncService, payment::v1::ChargeRequest, payment::v1::ChargeResponse>(
        payments, &PaymentService::AsyncService::RequestCharge, "flotilla.payment.v1.PaymentService/Charge");
    Add<PaymentService::AsyncService, payment::v1::HandleCallbackRequest, payment::v1::HandleCallbackResponse>(
        payments, &PaymentService::AsyncService::RequestHandleCallback,
        "flotilla.payment.v1.PaymentService/HandleCallback");
  }

  std::string Token(const std::string& user, const std::string& role = "",
                    absl::Duration life = absl::Minutes(5)) const {
    const absl::Time now = absl::Now();
    return "Bearer " + signer_.Sign(ToClaims({.issuer = "issuer",
                                              .audience = "flotilla",
                                              .user = user,
                                              .role = role,
                                              .now = now,
                                              .expires = now + life}));
  }
  // A channel of a client with this certificate; none where the names are empty.
  std::shared_ptr<grpc::Channel> Channel(const std::string& names = "") const {
    const TestCa::Pair pair = names.empty() ? TestCa::Pair{} : ca_.Issue(names);
    grpc::ChannelArguments args;
    args.SetSslTargetNameOverride("order.flotilla");
    args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(
        absl::StrCat("127.0.0.1:", server_->port()),
        grpc::SslCredentials(
            {.pem_root_certs = ca_.certificate(), .pem_private_key = pair.key, .pem_cert_chain = pair.certificate}),
        args);
  }
  static void Prepare(grpc::ClientContext& context, const Metadata& metadata) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    for (const auto& [key, value] : metadata) context.AddMetadata(key, value);
  }
  // "" or the reason of the refusal.
  template <class Service, class Request, class Response>
  static std::string Call(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                          const std::shared_ptr<grpc::Channel>& channel, const Metadata& metadata, Response* response) {
    grpc::ClientContext context;
    Prepare(context, metadata);
    const auto stub = Service::NewStub(channel);
    const absl::Status status = errors::FromGrpc((stub.get()->*method)(&context, {}, response));
    if (status.ok()) return "";
    return errors::Reason(status).empty() ? status.ToString() : errors::Reason(status);
  }
  static std::string Who(const std::shared_ptr<grpc::Channel>& channel, const Metadata& metadata) {
    order::v1::GetOrderResponse response;
    const std::string reason = Call<OrderService>(&OrderService::Stub::GetOrder, channel, metadata, &response);
    return reason.empty() ? response.order().order_id() : reason;
  }
  static std::string Charge(const std::shared_ptr<grpc::Channel>& channel, const Metadata& metadata) {
    payment::v1::ChargeResponse response;
    return Call<PaymentService>(&PaymentService::Stub::Charge, channel, metadata, &response);
  }
  static std::string ListSagas(const std::shared_ptr<grpc::Channel>& channel, const Metadata& metadata) {
    order::v1::ListSagasResponse response;
    return Call<SagaAdminService>(&SagaAdminService::Stub::ListSagas, channel, metadata, &response);
  }

  const TestCa ca_;
  const Signer signer_ = Signer::Make(Algorithm::kEs256, "key");
  const std::filesystem::path folder_;
  int probes_ = 0;
  std::unique_ptr<rpc::Server> server_;
};

TEST_F(GuardTest, TheUserIsTheTokens) {
  const auto channel = Channel();
  EXPECT_EQ(Who(channel, {{"authorization", Token("alice")}}), "alice");
  EXPECT_EQ(Who(channel, {{"authorization", "bearer" + Token("alice").substr(6)}}), "alice");
  EXPECT_EQ(Who(channel, {{"authorization", Token("olga", "operator")}}), "olga+");
  EXPECT_EQ(Who(channel, {{"authorization", Token("alice")}, {"flotilla-user", "bob"}}), "alice");
}

TEST_F(GuardTest, WithoutProofNobodyIsBelieved) {
  const auto channel = Channel();
  EXPECT_EQ(Who(channel, {}), "NO_CREDENTIALS");
  EXPECT_EQ(Who(channel, {{"flotilla-user", "alice"}}), "NO_CREDENTIALS");
  EXPECT_EQ(Who(channel, {{"flotilla-user", "alice"}, {"flotilla-roles", "operator"}}), "NO_CREDENTIALS");
  EXPECT_EQ(Who(channel, {{"authorization", ""}}), "INVALID_TOKEN");
  EXPECT_EQ(Who(channel, {{"authorization", "Bearer "}}), "NO_CREDENTIALS");
  EXPECT_EQ(Who(channel, {{"authorization", "Basic YWxpY2U6"}}), "INVALID_TOKEN");
  EXPECT_EQ(Who(channel, {{"authorization", Token("alice").substr(7)}}), "INVALID_TOKEN");
  EXPECT_EQ(Who(channel, {{"authorization", "Bearer  " + Token("alice").substr(7)}}), "INVALID_TOKEN");
  EXPECT_EQ(Who(channel, {{"authorization", Token("alice")}, {"authorization", Token("alice")}}), "INVALID_TOKEN");
  EXPECT_EQ(Who(channel, {{"authorization", Token("alice", "", -absl::Seconds(1))}}), "TOKEN_EXPIRED");
}

TEST_F(GuardTest, OperatorsNeedTheRole) {
  const auto channel = Channel();
  EXPECT_EQ(ListSagas(channel, {{"authorization", Token("olga", "operator")}}), "");
  EXPECT_EQ(ListSagas(channel, {{"authorization", Token("alice")}}), "NOT_AN_OPERATOR");
  EXPECT_EQ(ListSagas(channel, {}), "NO_CREDENTIALS");
  EXPECT_EQ(ListSagas(Channel("DNS:order.flotilla"), {{"flotilla-user", "olga"}}), "NOT_AN_OPERATOR");
}

TEST_F(GuardTest, AServiceMayCallWhatIsMeantForIt) {
  EXPECT_EQ(Charge(Channel("DNS:order.flotilla"), {}), "");
  EXPECT_EQ(Charge(Channel("DNS:localhost,IP:127.0.0.1,DNS:order.flotilla"), {}), "");
  EXPECT_EQ(Charge(Channel("DNS:inventory.flotilla"), {}), "NOT_ALLOWED");
  EXPECT_EQ(Charge(Channel("DNS:inventory.flotilla,DNS:order.flotilla"), {}), "NO_CREDENTIALS");
  EXPECT_EQ(Charge(Channel("DNS:order"), {}), "NO_CREDENTIALS");
  EXPECT_EQ(Charge(Channel("DNS:order.flotilla.evil.test"), {}), "NO_CREDENTIALS");
  EXPECT_EQ(Charge(Channel("URI:order.flotilla,email:order.flotilla"), {}), "NO_CREDENTIALS");
  EXPECT_EQ(Charge(Channel("DNS:x.order.flotilla"), {}), "NOT_ALLOWED");
  EXPECT_EQ(Charge(Channel(), {{"authorization", Token("alice")}}), "NOT_ALLOWED");
  EXPECT_EQ(Charge(Channel(), {{"authorization", Token("olga", "operator")}}), "NOT_ALLOWED");
  EXPECT_EQ(Charge(Channel("DNS:order.flotilla"), {{"authorization", "Bearer a.b.c"}}), "INVALID_TOKEN");
  EXPECT_EQ(Charge(Channel("DNS:order.flotilla"), {{"flotilla-user", "a b"}}), "INVALID_FIELD");
  EXPECT_EQ(Who(Channel("DNS:order.flotilla"), {{"flotilla-user", "alice"}}), "NOT_ALLOWED");
}

TEST_F(GuardTest, AStreamEndsWithItsToken) {
  grpc::ClientContext context;
  Prepare(context, {{"authorization", Token("alice", "", absl::Seconds(2))}});
  const auto stub = OrderService::NewStub(Channel());
  const auto stream = stub->WatchOrder(&context, {});
  order::v1::WatchOrderResponse response;
  EXPECT_FALSE(stream->Read(&response));
  const absl::Status status = errors::FromGrpc(stream->Finish());
  EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated) << status;
  EXPECT_EQ(errors::Reason(status), "TOKEN_EXPIRED");
}

TEST_F(GuardTest, NothingIsTakenFromAStreamAfterItsToken) {
  grpc::ClientContext context;
  Prepare(context, {{"authorization", Token("alice", "", absl::Seconds(5))}});
  const auto stub = OrderService::NewStub(Channel());
  const auto stream = stub->WatchOrders(&context);
  order::v1::WatchOrdersRequest request;
  order::v1::WatchOrdersResponse response;
  request.set_add_order_id("before");
  ASSERT_TRUE(stream->Write(request));
  EXPECT_TRUE(stream->Read(&response));
  absl::SleepFor(absl::Seconds(6));
  request.set_add_order_id("after");
  stream->Write(request);
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(errors::Reason(errors::FromGrpc(stream->Finish())), "TOKEN_EXPIRED");
}

TEST_F(GuardTest, WhatIsOpenNeedsNoProof) {
  payment::v1::HandleCallbackResponse response;
  EXPECT_EQ(Call<PaymentService>(&PaymentService::Stub::HandleCallback, Channel(), {}, &response), "");
  grpc::health::v1::HealthCheckResponse health;
  EXPECT_EQ(Call<grpc::health::v1::Health>(&grpc::health::v1::Health::Stub::Check, Channel(), {}, &health), "");
  grpc::ClientContext context;
  Prepare(context, {});
  const auto reflection = grpc::reflection::v1alpha::ServerReflection::NewStub(Channel());
  const auto stream = reflection->ServerReflectionInfo(&context);
  grpc::reflection::v1alpha::ServerReflectionRequest request;
  request.set_list_services("");
  EXPECT_TRUE(stream->Write(request));
  grpc::reflection::v1alpha::ServerReflectionResponse services;
  EXPECT_TRUE(stream->Read(&services));
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(GuardTest, ThePortWithoutTlsAnswersHealthAlone) {
  const auto channel = grpc::CreateChannel(absl::StrCat("127.0.0.1:", probes_), grpc::InsecureChannelCredentials());
  grpc::health::v1::HealthCheckResponse health;
  EXPECT_EQ(Call<grpc::health::v1::Health>(&grpc::health::v1::Health::Stub::Check, channel, {}, &health), "");
  EXPECT_EQ(Who(channel, {{"authorization", Token("alice")}}), "NOT_ALLOWED");
  payment::v1::HandleCallbackResponse response;
  EXPECT_EQ(Call<PaymentService>(&PaymentService::Stub::HandleCallback, channel, {}, &response), "NOT_ALLOWED");
}

}  // namespace
}  // namespace flotilla::identity
