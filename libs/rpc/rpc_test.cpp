#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "absl/time/clock.h"
#include "async/thread_executor.h"
#include "errors/errors.h"
#include "google/protobuf/descriptor.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"
#include "rpc/client.h"
#include "rpc/server.h"
#include "test_service.grpc.pb.h"
#include "testing/eventually.h"

namespace flotilla::rpc {
namespace {

using test::Message;
using test::TestService;
using Async = TestService::AsyncService;

Message Make(std::int64_t number, std::string text = "") {
  Message message;
  message.set_number(number);
  message.set_text(std::move(text));
  return message;
}

// What the handlers below saw.
struct Seen {
  std::atomic<int> calls = 0;
  std::atomic<int> running = 0;
  std::atomic<bool> cancelled = false;
  std::atomic<int> fail_first = 0;  // so many calls answer UNAVAILABLE
  std::mutex mutex;
  std::string traceparent;
  absl::Time deadline;
  std::set<std::string> peers;  // connections that calls came by
};

// Echo understands texts: "refuse", "sleep" (number milliseconds), "context".
struct TestServer {
  explicit TestServer(ServerOptions options = {}, std::shared_ptr<Interceptor> interceptor = nullptr)
      : server(options) {
    auto service = std::make_shared<Async>();
    server.AddService(service);
    if (interceptor != nullptr) server.AddInterceptor(interceptor);
    Seen* s = &seen;
    server.Unary(service.get(), &Async::RequestEcho, "flotilla.rpc.test.TestService/Echo",
                 [s](Call& call, const Message& request) { return Echo(s, call, request); });
    server.ServerStreaming(service.get(), &Async::RequestCount, "flotilla.rpc.test.TestService/Count",
                           [s](Call& call, const Message& request, ServerWriter<Message>& writer) {
                             return Count(s, call, request, writer);
                           });
    server.ClientStreaming(service.get(), &Async::RequestSum, "flotilla.rpc.test.TestService/Sum",
                           [](Call&, ServerReader<Message>& reader) { return Sum(reader); });
    server.BidiStreaming(
        service.get(), &Async::RequestChat, "flotilla.rpc.test.TestService/Chat",
        [](Call&, ServerReader<Message>& reader, ServerWriter<Message>& writer) { return Chat(reader, writer); });
    status = server.Start();
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(server.port()); }
  std::unique_ptr<TestService::Stub> stub() const {
    grpc::ChannelArguments args;
    args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return TestService::NewStub(grpc::CreateCustomChannel(address(), grpc::InsecureChannelCredentials(), args));
  }

  static async::Task<absl::StatusOr<Message>> Echo(Seen* seen, Call& call, const Message& request) {
    const int number = ++seen->calls;
    {
      std::lock_guard lock(seen->mutex);
      seen->peers.insert(call.context->peer());
    }
    if (number <= seen->fail_first) co_return absl::UnavailableError("not yet");
    if (request.text() == "refuse") {
      co_return errors::Make(absl::StatusCode::kFailedPrecondition, "OUT_OF_STOCK", "none left", {{"sku", "a"}});
    }
    if (request.text() == "sleep") {
      ++seen->running;
      co_await async::SleepFor(absl::Milliseconds(request.number()));
      --seen->running;
    }
    if (request.text() == "context") {
      std::lock_guard lock(seen->mutex);
      seen->traceparent = call.traceparent;
      seen->deadline = call.deadline;
    }
    co_return request;
  }
  static async::Task<absl::Status> Count(Seen* seen, Call& call, const Message& request,
                                         ServerWriter<Message>& writer) {
    ++seen->running;
    for (std::int64_t i = 1; i <= request.number(); ++i) {
      const bool written = co_await writer.Write(Make(i));
      if (!written) break;
    }
    // "wait": until the client goes or the server ends.
    while (request.text() == "wait" && !call.cancelled()) co_await async::SleepFor(absl::Milliseconds(5));
    seen->cancelled = call.cancelled();
    --seen->running;
    if (request.text() == "refuse") co_return errors::InvalidField("number", "is too small");
    co_return absl::OkStatus();
  }
  static async::Task<absl::StatusOr<Message>> Sum(ServerReader<Message>& reader) {
    std::int64_t sum = 0;
    Message message;
    for (;;) {
      const bool read = co_await reader.Read(&message);
      if (!read) break;
      if (message.number() < 0) co_return errors::InvalidField("number", "must not be negative");
      sum += message.number();
    }
    co_return Make(sum);
  }
  static async::Task<absl::Status> Chat(ServerReader<Message>& reader, ServerWriter<Message>& writer) {
    Message message;
    for (;;) {
      const bool read = co_await reader.Read(&message);
      if (!read) break;
      const bool written = co_await writer.Write(Make(message.number() * 2));
      if (!written) break;
    }
    co_return absl::OkStatus();
  }

  Seen seen;
  Server server;
  absl::Status status;
};

grpc::Status Call1(TestService::Stub& stub, const Message& request, Message* response, int timeout_ms = 5000) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(timeout_ms));
  return stub.Echo(&context, request, response);
}

TEST(Server, AnswersAndRefusesWithDetails) {
  TestServer server;
  ASSERT_TRUE(server.status.ok()) << server.status;
  Message response;
  ASSERT_TRUE(Call1(*server.stub(), Make(7, "hello"), &response).ok());
  EXPECT_EQ(response.number(), 7);
  EXPECT_EQ(response.text(), "hello");
  const grpc::Status refused = Call1(*server.stub(), Make(1, "refuse"), &response);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(errors::Reason(errors::FromGrpc(refused)), "OUT_OF_STOCK");
}

TEST(Server, HandsTheClientsDeadlineAndTraceOn) {
  TestServer server;
  grpc::ClientContext context;
  const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(60);
  context.set_deadline(deadline);
  context.AddMetadata("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  Message response;
  ASSERT_TRUE(server.stub()->Echo(&context, Make(1, "context"), &response).ok());
  const std::lock_guard lock(server.seen.mutex);
  EXPECT_EQ(server.seen.traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  EXPECT_LT(absl::AbsDuration(server.seen.deadline - absl::FromChrono(deadline)), absl::Seconds(10));
}

TEST(Server, ACallPastItsDeadlineIsCutOffAtTheClientAndFinishesAtTheServer) {
  TestServer server;
  Message response;
  EXPECT_EQ(Call1(*server.stub(), Make(300, "sleep"), &response, 50).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(Eventually([&] { return server.seen.running == 0; }));
}

TEST(Server, StreamsToTheClient) {
  TestServer server;
  auto stub = server.stub();
  grpc::ClientContext context;
  auto stream = stub->Count(&context, Make(1000));
  Message message;
  std::int64_t expected = 0;
  while (stream->Read(&message)) EXPECT_EQ(message.number(), ++expected);
  EXPECT_EQ(expected, 1000);
  EXPECT_TRUE(stream->Finish().ok());

  grpc::ClientContext refused;
  auto second = stub->Count(&refused, Make(1, "refuse"));
  while (second->Read(&message)) {
  }
  EXPECT_EQ(second->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST(Server, StreamsFromTheClient) {
  TestServer server;
  auto stub = server.stub();
  Message response;
  grpc::ClientContext context;
  auto stream = stub->Sum(&context, &response);
  for (int i = 1; i <= 100; ++i) ASSERT_TRUE(stream->Write(Make(i)));
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(response.number(), 5050);

  grpc::ClientContext refused;
  auto second = stub->Sum(&refused, &response);
  second->Write(Make(-1));
  second->WritesDone();
  EXPECT_EQ(second->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST(Server, StreamsBothWays) {
  TestServer server;
  auto stub = server.stub();
  grpc::ClientContext context;
  auto stream = stub->Chat(&context);
  Message message;
  for (int i = 1; i <= 100; ++i) {
    ASSERT_TRUE(stream->Write(Make(i)));
    ASSERT_TRUE(stream->Read(&message));
    EXPECT_EQ(message.number(), 2 * i);
  }
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(Server, AStreamsHandlerLearnsThatTheClientHasGone) {
  TestServer server;
  auto stub = server.stub();
  grpc::ClientContext context;
  auto stream = stub->Count(&context, Make(1, "wait"));
  Message message;
  ASSERT_TRUE(stream->Read(&message));
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Eventually([&] { return server.seen.running == 0; }));
  EXPECT_TRUE(server.seen.cancelled);
}

TEST(Server, AThousandCallsAtOnce) {
  TestServer server;
  Loop loop(std::make_unique<grpc::CompletionQueue>());
  auto pool = std::make_shared<ChannelPool>(
      "test", std::make_shared<StaticEndpoints>(std::vector<std::string>{server.address()}));
  Client<TestService> client(pool);
  std::vector<async::Task<absl::StatusOr<Message>>> calls;
  for (int i = 0; i < 1000; ++i) {
    calls.push_back(
        client.Call(&TestService::Stub::PrepareAsyncEcho, Make(20, "sleep"), {.timeout = absl::Seconds(20)}));
  }
  const auto results = async::BlockOn(loop, async::WhenAll(std::move(calls)));
  for (const auto& result : results) EXPECT_TRUE(result.ok()) << result.status();
}

struct Recorder final : Interceptor {
  absl::Status OnStart(Call& call) override {
    call.user_id = std::string(call.Metadata("user"));
    return call.user_id == "nobody" ? absl::PermissionDeniedError("no") : absl::OkStatus();
  }
  void OnEnd(const Call& call, const absl::Status& status) override {
    std::lock_guard lock(mutex);
    ++ended[std::string(call.method) + " " + call.user_id + " " + std::string(absl::StatusCodeToString(status.code()))];
  }
  std::mutex mutex;
  std::map<std::string, int> ended;
};

TEST(Server, InterceptorsSeeAndRefuseCallsOfEveryKind) {
  auto recorder = std::make_shared<Recorder>();
  {
    TestServer server({}, recorder);
    auto stub = server.stub();
    for (const char* user : {"anna", "nobody"}) {
      grpc::ClientContext unary, streaming;
      unary.AddMetadata("user", user);
      streaming.AddMetadata("user", user);
      Message response;
      stub->Echo(&unary, Make(1), &response);
      auto stream = stub->Count(&streaming, Make(2));
      while (stream->Read(&response)) {
      }
      stream->Finish();
    }
  }
  EXPECT_EQ(recorder->ended["flotilla.rpc.test.TestService/Echo anna OK"], 1);
  EXPECT_EQ(recorder->ended["flotilla.rpc.test.TestService/Echo nobody PERMISSION_DENIED"], 1);
  EXPECT_EQ(recorder->ended["flotilla.rpc.test.TestService/Count anna OK"], 1);
  EXPECT_EQ(recorder->ended["flotilla.rpc.test.TestService/Count nobody PERMISSION_DENIED"], 1);
}

// Sends bytes as the request of Echo.
grpc::Status SendBytes(const TestServer& server, const std::string& bytes) {
  grpc::Slice slice(bytes);
  grpc::ByteBuffer request(&slice, 1), response;
  grpc::GenericStub stub(grpc::CreateChannel(server.address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  auto call = stub.PrepareUnaryCall(&context, "/flotilla.rpc.test.TestService/Echo", request, &queue);
  call->StartCall();
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  return status;
}

TEST(Server, RequestsThatCannotBeParsedAreAnsweredByName) {
  TestServer server;
  EXPECT_TRUE(SendBytes(server, "").ok());
  const absl::Status text = errors::FromGrpc(SendBytes(server, "\x08\x01\x12\x02\xff\xfe"));
  EXPECT_EQ(text.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(text.message(), "text: is not valid UTF-8");
  for (const std::string& bad :
       {std::string("\x12"), std::string("\x12\x7f"), std::string("\xff\xff\xff\xff\xff\xff")}) {
    const absl::Status status = errors::FromGrpc(SendBytes(server, bad));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_EQ(errors::Reason(status), "INVALID_FIELD");
  }
}

TEST(Server, TooManyCallsAreRefusedEarly) {
  TestServer server({.max_concurrent_calls = 1});
  grpc::ClientContext context;
  const auto first_stub = server.stub();
  const auto first = first_stub->Count(&context, Make(1, "wait"));
  Message response;
  ASSERT_TRUE(first->Read(&response));
  const auto status = Call1(*server.stub(), Make(1), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(errors::Reason(errors::FromGrpc(status)), "SERVER_BUSY");
  context.TryCancel();
  EXPECT_EQ(first->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST(Server, StreamsThatStrangersMayOpenHaveLimitsOfTheirOwn) {
  TestServer server({.max_concurrent_calls = 1, .max_health_watches = 2, .max_reflections = 1});
  auto health =
      grpc::health::v1::Health::NewStub(grpc::CreateChannel(server.address(), grpc::InsecureChannelCredentials()));
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  const auto watch = [&] {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    return health->Watch(contexts.back().get(), {});
  };
  grpc::health::v1::HealthCheckResponse response;
  auto first = watch(), second = watch();
  ASSERT_TRUE(first->Read(&response));
  ASSERT_TRUE(second->Read(&response));
  auto third = watch();
  EXPECT_FALSE(third->Read(&response));
  EXPECT_EQ(errors::Reason(errors::FromGrpc(third->Finish())), "SERVER_BUSY");

  auto reflection = grpc::reflection::v1alpha::ServerReflection::NewStub(
      grpc::CreateChannel(server.address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext asking, refused;
  grpc::reflection::v1alpha::ServerReflectionRequest request;
  request.set_list_services("");
  grpc::reflection::v1alpha::ServerReflectionResponse names;
  const auto stream = reflection->ServerReflectionInfo(&asking);
  ASSERT_TRUE(stream->Write(request) && stream->Read(&names));
  const auto another = reflection->ServerReflectionInfo(&refused);
  EXPECT_FALSE(another->Read(&names));
  EXPECT_EQ(errors::Reason(errors::FromGrpc(another->Finish())), "SERVER_BUSY");

  // None of them is in the way of the one call that others may have, and one that ends makes room.
  Message echo;
  EXPECT_TRUE(Call1(*server.stub(), Make(1), &echo).ok());
  contexts[0]->TryCancel();
  first->Finish();
  EXPECT_TRUE(Eventually([&] { return watch()->Read(&response); }));
  for (auto& context : contexts) context->TryCancel();
  asking.TryCancel();
}

TEST(Server, AConnectionOfAgeIsReplacedWithoutAFailedCall) {
  TestServer server({.connection_age = absl::Milliseconds(200)});
  auto stub = server.stub();
  Message response;
  // Calls one after the other: each goes through, over one connection after another.
  EXPECT_TRUE(Eventually([&] {
    grpc::ClientContext call;
    const grpc::Status status = stub->Echo(&call, Make(1), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    const std::lock_guard lock(server.seen.mutex);
    return server.seen.peers.size() >= 4;
  }));
}

TEST(Server, HealthFollowsSetServing) {
  TestServer server;
  auto stub =
      grpc::health::v1::Health::NewStub(grpc::CreateChannel(server.address(), grpc::InsecureChannelCredentials()));
  const auto check = [&](const std::string& service) {
    grpc::ClientContext context;
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    grpc::health::v1::HealthCheckResponse response;
    EXPECT_TRUE(stub->Check(&context, request, &response).ok());
    return response.status();
  };
  using grpc::health::v1::HealthCheckResponse;
  EXPECT_EQ(check(""), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(check(kLiveness), HealthCheckResponse::SERVING);
  server.server.SetServing(true);
  EXPECT_EQ(check(""), HealthCheckResponse::SERVING);
  server.server.SetServing(false);
  EXPECT_EQ(check(""), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(check(kLiveness), HealthCheckResponse::SERVING);
}

TEST(Server, HealthKnowsItsServicesAndTellsWatchers) {
  using grpc::health::v1::HealthCheckResponse;
  TestServer server;
  auto stub =
      grpc::health::v1::Health::NewStub(grpc::CreateChannel(server.address(), grpc::InsecureChannelCredentials()));
  grpc::health::v1::HealthCheckRequest unknown;
  unknown.set_service("no.such.Service");
  {
    grpc::ClientContext context;
    HealthCheckResponse response;
    EXPECT_EQ(stub->Check(&context, unknown, &response).error_code(), grpc::StatusCode::NOT_FOUND);
  }
  grpc::health::v1::HealthCheckRequest known;
  known.set_service("flotilla.rpc.test.TestService");
  grpc::ClientContext context;
  const auto watch = stub->Watch(&context, known);
  HealthCheckResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  server.server.SetServing(true);
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  context.TryCancel();
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST(Server, ReflectionDescribesTheServices) {
  TestServer server;
  auto stub = grpc::reflection::v1alpha::ServerReflection::NewStub(
      grpc::CreateChannel(server.address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  const auto stream = stub->ServerReflectionInfo(&context);
  const auto ask = [&](const auto& set) {
    grpc::reflection::v1alpha::ServerReflectionRequest request;
    set(request);
    grpc::reflection::v1alpha::ServerReflectionResponse response;
    EXPECT_TRUE(stream->Write(request) && stream->Read(&response));
    return response;
  };
  std::vector<std::string> names;
  const auto list = ask([](auto& r) { r.set_list_services(""); });
  for (const auto& service : list.list_services_response().service()) names.push_back(service.name());
  EXPECT_EQ(names, (std::vector<std::string>{"flotilla.rpc.test.TestService", "grpc.health.v1.Health",
                                             "grpc.reflection.v1alpha.ServerReflection"}));
  const auto files = ask([](auto& r) { r.set_file_containing_symbol("flotilla.rpc.test.TestService"); });
  google::protobuf::FileDescriptorProto file;
  ASSERT_TRUE(file.ParseFromString(files.file_descriptor_response().file_descriptor_proto(0)));
  EXPECT_EQ(file.service(0).name(), "TestService");
  EXPECT_EQ(ask([](auto& r) { r.set_file_by_filename("no.proto"); }).error_response().error_code(),
            grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ask([](auto&) {}).error_response().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(Server, ATakenPortIsNamed) {
  TestServer first;
  Server second({.listen = first.address()});
  const absl::Status status = second.Start();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(status.message().find(absl::string_view(first.address())), absl::string_view::npos) << status;
}

TEST(Server, ShutdownLetsRunningCallsFinishAndEndsStreams) {
  TestServer server;
  auto stub = server.stub();
  grpc::ClientContext context;
  auto stream = stub->Count(&context, Make(1, "wait"));
  Message message;
  ASSERT_TRUE(stream->Read(&message));
  grpc::Status unary;
  std::thread slow([&] {
    Message response;
    unary = Call1(*server.stub(), Make(2000, "sleep"), &response, 60'000);
  });
  EXPECT_TRUE(Eventually([&] { return server.seen.running == 2; }));
  server.server.Shutdown(absl::Seconds(30));
  slow.join();
  EXPECT_TRUE(unary.ok()) << unary.error_message();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(Server, ShutdownCancelsWhatOutlivesTheGrace) {
  TestServer server;
  std::thread slow([&] {
    Message response;
    EXPECT_FALSE(Call1(*server.stub(), Make(3000, "sleep"), &response, 60'000).ok());
  });
  EXPECT_TRUE(Eventually([&] { return server.seen.running == 1; }));
  server.server.Shutdown(absl::Milliseconds(50));
  slow.join();
}

TEST(Client, RetriesAnIdempotentCall) {
  TestServer server;
  server.seen.fail_first = 2;
  Loop loop(std::make_unique<grpc::CompletionQueue>());
  auto pool = std::make_shared<ChannelPool>(
      "test", std::make_shared<StaticEndpoints>(std::vector<std::string>{server.address()}));
  Client<TestService> client(pool);
  const auto retried = async::BlockOn(loop, client.Call(&TestService::Stub::PrepareAsyncEcho, Make(1), {}));
  EXPECT_TRUE(retried.ok()) << retried.status();
  EXPECT_EQ(server.seen.calls, 3);
  server.seen.calls = 0;
  const auto once =
      async::BlockOn(loop, client.Call(&TestService::Stub::PrepareAsyncEcho, Make(1), {.idempotent = false}));
  EXPECT_EQ(once.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(server.seen.calls, 1);
}

TEST(Client, ACallThatComesAfterItsLoopHasStoppedIsRefused) {
  TestServer server;
  auto pool = std::make_shared<ChannelPool>(
      "test", std::make_shared<StaticEndpoints>(std::vector<std::string>{server.address()}));
  Client<TestService> client(pool);
  std::atomic<int> code = -1;
  {
    Loop loop(std::make_unique<grpc::CompletionQueue>());
    async::Spawn(loop, [](Client<TestService>& c, std::atomic<int>& out) -> async::Task<void> {
      out = -2;  // on the loop, which wakes it when it stops
      co_await async::SleepFor(absl::Seconds(60));
      const auto result = co_await c.Call(&TestService::Stub::PrepareAsyncEcho, Make(1), {});
      out = static_cast<int>(result.status().code());
    }(client, code));
    EXPECT_TRUE(Eventually([&] { return code == -2; }));
  }
  EXPECT_EQ(static_cast<absl::StatusCode>(code.load()), absl::StatusCode::kUnavailable);
}

TEST(Client, AnInstanceThatKeepsSilentIsLeftAlone) {
  TestServer server;
  Loop loop(std::make_unique<grpc::CompletionQueue>());
  auto pool = std::make_shared<ChannelPool>(
      "test", std::make_shared<StaticEndpoints>(std::vector<std::string>{server.address()}));
  Client<TestService> client(pool);
  const auto endpoint = pool->Pick(nullptr);
  ASSERT_NE(endpoint, nullptr);
  const async::SteadyTime before = async::SteadyNow();
  std::vector<async::Task<absl::StatusOr<Message>>> calls;
  for (int i = 0; i < 5; ++i) {
    calls.push_back(
        client.Call(&TestService::Stub::PrepareAsyncEcho, Make(1500, "sleep"), {.timeout = absl::Milliseconds(1100)}));
  }
  for (const auto& result : async::BlockOn(loop, async::WhenAll(std::move(calls)))) {
    EXPECT_EQ(result.status().code(), absl::StatusCode::kDeadlineExceeded);
  }
  EXPECT_FALSE(endpoint->breaker.Allow(before)) << "as of then: soon it lets a probe through";
}

TEST(Client, WithEveryBreakerOpenWhoMayNotWaitIsRefusedAtOnce) {
  TestServer server;
  Loop loop(std::make_unique<grpc::CompletionQueue>());
  auto pool = std::make_shared<ChannelPool>(
      "test", std::make_shared<StaticEndpoints>(std::vector<std::string>{server.address()}));
  Client<TestService> client(pool);
  const auto endpoint = pool->Pick(nullptr);
  ASSERT_NE(endpoint, nullptr);
  // The pause after the eighth time is a second.
  async::SteadyTime when = async::SteadyNow();
  for (int i = 0; i < 12; ++i) endpoint->breaker.Report(false, when = async::After(absl::Milliseconds(150), when));
  const absl::Time start = absl::Now();
  const auto refused = async::BlockOn(loop, client.Call(&TestService::Stub::PrepareAsyncEcho, Make(1),
                                                        {.timeout = absl::Seconds(60), .wait_for_ready = false}));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(errors::Reason(refused.status()), "NO_INSTANCE");
  EXPECT_EQ(errors::ToProto(refused.status()).details_size(), 2) << "RetryInfo too";
  EXPECT_LT(absl::Now() - start, absl::Seconds(30));
  EXPECT_EQ(server.seen.calls, 0);
  // Who waits is there when the breaker lets a probe through, which closes it for all.
  const auto waited =
      async::BlockOn(loop, client.Call(&TestService::Stub::PrepareAsyncEcho, Make(1), {.timeout = absl::Seconds(60)}));
  EXPECT_TRUE(waited.ok()) << waited.status();
  const auto after =
      async::BlockOn(loop, client.Call(&TestService::Stub::PrepareAsyncEcho, Make(1), {.wait_for_ready = false}));
  EXPECT_TRUE(after.ok()) << after.status();
}

TEST(Client, RetriesAreAShareOfTheSuccesses) {
  TestServer server;
  Loop loop(std::make_unique<grpc::CompletionQueue>());
  auto pool = std::make_shared<ChannelPool>(
      "test", std::make_shared<StaticEndpoints>(std::vector<std::string>{server.address()}));
  Client<TestService> client(pool);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(pool->TakeRetryToken()) << i;
  server.seen.fail_first = 1;
  EXPECT_FALSE(async::BlockOn(loop, client.Call(&TestService::Stub::PrepareAsyncEcho, Make(1), {})).ok());
  EXPECT_EQ(server.seen.calls, 1) << "no retry is left";
  for (int i = 0; i < 11; ++i) {
    EXPECT_TRUE(async::BlockOn(loop, client.Call(&TestService::Stub::PrepareAsyncEcho, Make(1), {})).ok());
  }
  server.seen.calls = 0;
  EXPECT_TRUE(async::BlockOn(loop, client.Call(&TestService::Stub::PrepareAsyncEcho, Make(1), {})).ok());
  EXPECT_EQ(server.seen.calls, 2) << "ten successes have paid for one";
}

TEST(Client, ErrorsKeepTheirReason) {
  TestServer server;
  Loop loop(std::make_unique<grpc::CompletionQueue>());
  auto pool = std::make_shared<ChannelPool>(
      "test", std::make_shared<StaticEndpoints>(std::vector<std::string>{server.address()}));
  Client<TestService> client(pool);
  const auto result = async::BlockOn(loop, client.Call(&TestService::Stub::PrepareAsyncEcho, Make(1, "refuse"), {}));
  EXPECT_EQ(errors::Reason(result.status()), "OUT_OF_STOCK");
}

TEST(Client, NoInstanceIsUnavailableWithinTheDeadline) {
  Loop loop(std::make_unique<grpc::CompletionQueue>());
  auto nobody = std::make_shared<ChannelPool>("test", std::make_shared<StaticEndpoints>(std::vector<std::string>{}));
  const absl::Time start = absl::Now();
  const auto result =
      async::BlockOn(loop, Client<TestService>(nobody).Call(&TestService::Stub::PrepareAsyncEcho, Make(1),
                                                            {.timeout = absl::Milliseconds(200)}));
  EXPECT_EQ(result.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(errors::Reason(result.status()), "NO_INSTANCE");
  EXPECT_LT(absl::Now() - start, absl::Seconds(20));
}

class ChangingEndpoints final : public EndpointSource {
 public:
  void Subscribe(std::function<void(std::vector<std::string>)> on_change) override {
    on_change_ = std::move(on_change);
  }
  void Set(std::vector<std::string> addresses) { on_change_(std::move(addresses)); }

 private:
  std::function<void(std::vector<std::string>)> on_change_;
};

TEST(Client, CallsGoOnWhileInstancesComeAndGo) {
  auto first = std::make_unique<TestServer>();
  TestServer second;
  auto source = std::make_shared<ChangingEndpoints>();
  auto pool = std::make_shared<ChannelPool>("test", source);
  source->Set({first->address()});
  Loop loop(std::make_unique<grpc::CompletionQueue>());
  Client<TestService> client(pool);
  std::atomic<bool> stop = false;
  std::atomic<int> failed = 0;
  std::thread caller([&] {
    while (!stop) {
      if (!async::BlockOn(loop, client.Call(&TestService::Stub::PrepareAsyncEcho, Make(1), {})).ok()) ++failed;
    }
  });
  ASSERT_TRUE(Eventually([&] { return first->seen.calls > 20; }));
  source->Set({first->address(), second.address()});
  EXPECT_TRUE(Eventually([&] { return second.seen.calls > 20; }));
  first.reset();  // gone before the registry says so
  source->Set({second.address()});
  const int before = second.seen.calls;
  EXPECT_TRUE(Eventually([&] { return second.seen.calls > before + 20; }));
  stop = true;
  caller.join();
  EXPECT_EQ(failed, 0);
}

TEST(Breaker, OpensAfterFiveFailuresAndProbes) {
  Breaker breaker;
  async::SteadyTime now = async::SteadyNow();
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(breaker.Allow(now));
    breaker.Report(false, now);
  }
  EXPECT_FALSE(breaker.Allow(now));
  now = async::After(absl::Milliseconds(201), now);
  EXPECT_TRUE(breaker.Allow(now));
  EXPECT_FALSE(breaker.Allow(now)) << "one probe at a time";
  breaker.Report(false, now);
  EXPECT_FALSE(breaker.Allow(async::After(absl::Milliseconds(300), now))) << "the pause doubles";
  now = async::After(absl::Milliseconds(401), now);
  EXPECT_TRUE(breaker.Allow(now));
  breaker.Report(true, now);
  EXPECT_TRUE(breaker.Allow(now));
  EXPECT_TRUE(breaker.Allow(now));
}

// Its caller has ended without a word.
TEST(Breaker, AProbeThatNobodyReportsIsForgotten) {
  Breaker breaker;
  const async::SteadyTime start = async::SteadyNow();
  for (int i = 0; i < 5; ++i) breaker.Report(false, start);
  const auto at = [&](absl::Duration after) { return breaker.Allow(async::After(after, start)); };
  EXPECT_TRUE(at(absl::Seconds(1)));
  EXPECT_FALSE(at(absl::Seconds(5)));
  EXPECT_TRUE(at(absl::Seconds(7)));
  EXPECT_FALSE(at(absl::Seconds(7)));
}

TEST(Breaker, ProbesEverySecondHoweverLongTheOutage) {
  Breaker breaker;
  async::SteadyTime now = async::SteadyNow();
  for (int i = 0; i < 100; ++i, now = async::After(absl::Milliseconds(1001), now)) {
    ASSERT_TRUE(breaker.Allow(now)) << i;
    breaker.Report(false, now);
  }
}

}  // namespace
}  // namespace flotilla::rpc
