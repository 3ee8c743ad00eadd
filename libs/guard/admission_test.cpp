#include "guard/admission.h"

#include <thread>

#include "errors/errors.h"
#include "google/rpc/error_details.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "gtest/gtest.h"
#include "rpc/test_user.h"
#include "telemetry/metrics.h"
#include "test_service.grpc.pb.h"
#include "testing/eventually.h"

namespace flotilla::guard {
namespace {

using rpc::test::Message;
using rpc::test::TestService;
using Async = TestService::AsyncService;

constexpr char kEcho[] = "flotilla.rpc.test.TestService/Echo";

class ServiceByName final : public rpc::Interceptor {
 public:
  absl::Status OnStart(rpc::Call& call) override {
    call.from_service = !call.Metadata("service").empty();
    return absl::OkStatus();
  }
  void OnEnd(const rpc::Call&, const absl::Status&) override {}
};

// Echo sleeps for so many milliseconds as its number says.
class AdmissionTest : public testing::Test {
 protected:
  void Serve(AdmissionOptions options) {
    server_ = std::make_unique<rpc::Server>(rpc::ServerOptions{});
    auto service = std::make_shared<Async>();
    server_->AddService(service);
    server_->AddInterceptor(std::make_shared<rpc::TestUser>());
    server_->AddInterceptor(std::make_shared<ServiceByName>());
    server_->AddInterceptor(std::make_shared<Admission>(std::move(options)));
    server_->Unary(service.get(), &Async::RequestEcho, kEcho, Echo);
    server_->ServerStreaming(service.get(), &Async::RequestCount, "flotilla.rpc.test.TestService/Count", Count);
    ASSERT_TRUE(server_->Start().ok());
    channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(server_->port()), grpc::InsecureChannelCredentials());
    stub_ = TestService::NewStub(channel_);
  }
  static async::Task<absl::StatusOr<Message>> Echo(rpc::Call&, const Message& request) {
    co_await async::SleepFor(absl::Milliseconds(request.number()));
    co_return request;
  }
  static async::Task<absl::Status> Count(rpc::Call& call, const Message&, rpc::ServerWriter<Message>& writer) {
    co_await writer.Write(Message());
    while (!call.cancelled()) co_await async::SleepFor(absl::Milliseconds(5));
    co_return absl::OkStatus();
  }
  absl::Status Call(const std::string& user, int sleep_ms = 0, bool service = false) {
    const auto context = rpc::As(user);
    if (service) context->AddMetadata("service", "order");
    Message request, response;
    request.set_number(sleep_ms);
    return errors::FromGrpc(stub_->Echo(context.get(), request, &response));
  }
  static absl::Duration RetryDelay(const absl::Status& status) {
    const google::rpc::Status proto = errors::ToProto(status);
    google::rpc::RetryInfo info;
    for (const auto& any : proto.details()) {
      if (any.UnpackTo(&info)) {
        return absl::Seconds(info.retry_delay().seconds()) + absl::Nanoseconds(info.retry_delay().nanos());
      }
    }
    return absl::ZeroDuration();
  }
  static double RefusedSoFar(const char* reason) {
    return telemetry::Counter("flotilla_admission_refused_total", "", {{"method", kEcho}, {"reason", reason}}).Value();
  }

  std::unique_ptr<rpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<TestService::Stub> stub_;
};

TEST_F(AdmissionTest, AUserThatCallsTooOftenIsToldWhenToComeAgain) {
  Serve({.user_limits = *RateLimits::Parse("*=0.01:3"), .method_limits = {}, .concurrency = {}});
  const double before = RefusedSoFar("user_rate");
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Call("anna").ok()) << i;
  const absl::Status refused = Call("anna");
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(errors::Reason(refused), "USER_RATE_LIMITED");
  EXPECT_GT(RetryDelay(refused), absl::Seconds(30));
  EXPECT_LE(RetryDelay(refused), absl::Seconds(100));
  EXPECT_TRUE(Call("berta").ok()) << "others are not concerned";
  EXPECT_TRUE(Call("").ok()) << "nor who is no user";
  EXPECT_EQ(RefusedSoFar("user_rate"), before + 1);
}

TEST_F(AdmissionTest, AMethodThatIsCalledTooOftenTurnsAllAwayButServices) {
  Serve({.user_limits = {}, .method_limits = *RateLimits::Parse(std::string(kEcho) + "=0.01:2"), .concurrency = {}});
  EXPECT_TRUE(Call("anna").ok());
  EXPECT_TRUE(Call("berta").ok());
  const absl::Status refused = Call("carla");
  EXPECT_EQ(errors::Reason(refused), "METHOD_RATE_LIMITED");
  EXPECT_GT(RetryDelay(refused), absl::ZeroDuration());
  EXPECT_TRUE(Call("", 0, true).ok()) << "it goes on with an order that was accepted";
}

TEST_F(AdmissionTest, TooManyAtOnceAreTurnedAwayButWhatFinishesOrders) {
  Serve({.user_limits = {}, .method_limits = {}, .concurrency = {.initial = 2, .least = 2, .most = 2}});
  std::vector<std::thread> running;
  std::atomic<int> ended = 0;
  for (int i = 0; i < 2; ++i) {
    running.emplace_back([&] {
      while (!Call("anna", 500).ok()) {
      }
      ++ended;
    });
  }
  absl::Status refused;
  EXPECT_TRUE(Eventually([&] {
    refused = Call("berta");
    return !refused.ok();
  }));
  EXPECT_EQ(errors::Reason(refused), "OVERLOADED");
  EXPECT_GE(RetryDelay(refused), absl::Milliseconds(200));
  EXPECT_TRUE(Call("", 0, true).ok());
  const auto health = grpc::health::v1::Health::NewStub(channel_);
  grpc::ClientContext context;
  grpc::health::v1::HealthCheckResponse response;
  EXPECT_TRUE(health->Check(&context, {}, &response).ok());
  for (auto& thread : running) thread.join();
  EXPECT_TRUE(Call("berta").ok());
}

TEST_F(AdmissionTest, StreamsTakeNoPlaceOfCalls) {
  Serve({.user_limits = {}, .method_limits = {}, .concurrency = {.initial = 1, .least = 1, .most = 1}});
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<Message>>> streams;
  Message message;
  for (int i = 0; i < 3; ++i) {
    contexts.push_back(rpc::As("anna"));
    streams.push_back(stub_->Count(contexts.back().get(), message));
    EXPECT_TRUE(streams.back()->Read(&message));
  }
  EXPECT_TRUE(Call("anna").ok());
  for (auto& context : contexts) context->TryCancel();
}

}  // namespace
}  // namespace flotilla::guard
