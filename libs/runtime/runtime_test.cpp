// Runs a small service in a process of its own: this program, started again with "--as-service <how>".
#include "runtime/runtime.h"

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <random>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "async/task.h"
#include "errors/errors.h"
#include "gmock/gmock.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "postgres/test_role.h"
#include "registry/etcd.h"
#include "telemetry/log.h"
#include "telemetry/trace.h"
#include "test_service.grpc.pb.h"
#include "testing/environment.h"
#include "testing/eventually.h"
#include "testing/http.h"
#include "testing/process.h"

namespace flotilla::runtime {
namespace {

using rpc::test::Message;
using rpc::test::TestService;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// ---- the service ----

struct Part {
  explicit Part(std::string n) : name(std::move(n)) {}
  ~Part() { telemetry::Info("destroyed " + name); }
  const std::string name;
};

// Answers with the user and the call's own span, after as many milliseconds as asked for.
async::Task<absl::StatusOr<Message>> Echo(rpc::Call& call, const Message& request) {
  const std::string user = call.user_id;
  const std::string span = call.traceparent;
  if (request.number() > 0) {
    const absl::Duration time = absl::Milliseconds(request.number());
    co_await async::SleepFor(time);
  }
  Message reply;
  reply.set_text(absl::StrCat(user, "|", span));
  co_return reply;
}

absl::Status Wire(Fleet& fleet, const std::string& how) {
  fleet.Keep(std::make_unique<Part>("first"));
  fleet.Keep(std::make_unique<Part>("second"));
  fleet.OnStarted(
      [&fleet] { telemetry::Info(absl::StrCat("started on ", fleet.server().port() > 0 ? "a port" : "none")); });
  fleet.OnStop([] { telemetry::Info("stop first"); });
  fleet.OnStop([] { telemetry::Info("stop second"); });
  if (how == "fails") return absl::UnavailableError("the database is away");
  if (how == "throws") throw std::runtime_error("a driver threw");
  if (how == "hangs") {
    telemetry::Info("wiring");
    for (;;) pause();
  }
  if (how == "migrates") {
    return fleet.Migrate({{"INSERT", "a"}}, [](const postgres::Options& owner) {
      const std::vector<postgres::Migration> migrations = {{"001_a.sql", "CREATE TABLE a (n int)"}};
      return postgres::Migrate(owner, migrations, kDatabasePatience);
    });
  }
  auto service = std::make_shared<TestService::AsyncService>();
  fleet.server().AddService(service);
  fleet.server().Unary(service.get(), &TestService::AsyncService::RequestEcho, "flotilla.rpc.test.TestService/Echo",
                       Echo);
  if (fleet.Peer("peer") != fleet.Peer("peer")) return absl::InternalError("one pool a service");
  if (fleet.redis().host != "redis.test" || fleet.redis().port != 7 || fleet.nats().url != "nats://nats.test:8" ||
      fleet.postgres().uri != "postgresql://postgres.test/x") {
    return absl::InternalError("flags are not handed on");
  }
  return absl::OkStatus();
}

// ---- the tests ----

// From a service's last word to its exit; waiting for the metrics' threads would take up to two seconds.
#if __has_feature(thread_sanitizer)
constexpr auto kLastMoments = std::chrono::milliseconds(2500);  // TSan itself sleeps a second at the end of a process
#else
constexpr auto kLastMoments = std::chrono::milliseconds(1000);
#endif

// This program as a service, with its log.
class Service {
 public:
  explicit Service(std::vector<std::string> args) {
    args.insert(args.begin(), OwnProgram());
    process_.emplace(std::move(args), log_.string());
  }
  ~Service() {
    process_.reset();
    std::filesystem::remove(log_);
  }
  void Signal(int number) const { process_->Signal(number); }
  // The exit status, or -signal; killed where it still runs after that time.
  int Exit(int seconds = 10) { return process_->Wait(seconds); }
  std::string Output() const { return process_->Output(); }
  // All log lines' messages so far but the warning that every service here begins with; every line must be JSON.
  std::vector<std::string> Messages() const {
    std::vector<std::string> out;
    for (const auto& line : Lines()) {
      const std::string& message = line.at("message").string_value();
      if (!absl::StartsWith(message, "--auth=off")) out.push_back(message);
    }
    return out;
  }
  // A field of the first line with this message, once it is there.
  std::string Field(const std::string& message, const std::string& field) const {
    std::optional<std::string> found;
    Eventually([&] {
      for (const auto& line : Lines()) {
        if (line.at("message").string_value() != message) continue;
        found = line.contains(field) ? line.at(field).string_value() : "";
        break;
      }
      return found.has_value();
    });
    EXPECT_TRUE(found.has_value()) << "no line says \"" << message << "\":\n" << Output();
    return found.value_or("");
  }

 private:
  using Line = google::protobuf::Map<std::string, google::protobuf::Value>;
  std::vector<Line> Lines() const {
    std::vector<Line> out;
    const std::string output = Output();
    const std::vector<std::string> lines =
        absl::StrSplit(output.substr(0, output.rfind('\n') + 1), '\n', absl::SkipEmpty());
    for (const std::string& text : lines) {
      google::protobuf::Struct json;
      if (google::protobuf::util::JsonStringToMessage(text, &json).ok()) out.push_back(json.fields());
    }
    return out;
  }

  const std::filesystem::path log_ =
      std::filesystem::temp_directory_path() / absl::StrCat("runtime-test-", getpid(), "-", std::random_device{}());
  std::optional<Process> process_;
};

// A port that is taken for as long as this lives.
class TakenPort {
 public:
  TakenPort() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(fd_, 1), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~TakenPort() { close(fd_); }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

 private:
  int fd_;
  int port_;
};

struct Reply {
  absl::Status status;
  std::string user, span;
};

class RuntimeTest : public testing::Test {
 protected:
  void SetUp() override { service_ = absl::StrCat("runtime-test-", std::random_device{}()); }
  std::unique_ptr<Service> Start(const std::string& how, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> args = {"--as-service",
                                     how,
                                     service_,
                                     "--etcd=" + etcd_,
                                     "--postgres=postgresql://postgres.test/x",
                                     "--redis=redis.test:7",
                                     "--auth=off",
                                     "--nats=nats://nats.test:8"};
    args.insert(args.end(), more.begin(), more.end());
    return std::make_unique<Service>(args);
  }
  std::vector<std::string> Registered() const {
    registry::Etcd etcd(etcd_);
    const auto list = etcd.List("/flotilla/services/" + service_ + "/");
    EXPECT_TRUE(list.ok()) << list.status();
    std::vector<std::string> out;
    if (list.ok()) {
      for (const auto& kv : list->kvs()) out.push_back(kv.value());
    }
    return out;
  }
  std::vector<std::string> AwaitRegistered() const {
    Eventually([this] { return !Registered().empty(); });
    return Registered();
  }
  static Reply Call(const std::string& address, const std::string& user, const std::string& traceparent = "",
                    int millis = 0) {
    const auto stub = TestService::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    if (!user.empty()) context.AddMetadata("flotilla-user", user);
    if (!traceparent.empty()) context.AddMetadata("traceparent", traceparent);
    Message request, reply;
    request.set_number(millis);
    const absl::Status status = errors::FromGrpc(stub->Echo(&context, request, &reply));
    const std::vector<std::string> parts = absl::StrSplit(reply.text(), '|');
    return {status, parts[0], parts.size() > 1 ? parts[1] : ""};
  }
  const std::string etcd_ = TestEtcd();
  std::string service_;
};

TEST_F(RuntimeTest, ServesRegistersAndStopsInOrder) {
  auto process = Start("serves", {"--instance_id=one"});
  const std::string address = process->Field("serving", "address");
  EXPECT_THAT(address, StartsWith("127.0.0.1:"));
  EXPECT_EQ(process->Field("serving", "instance"), "one");
  EXPECT_EQ(process->Field("serving", "service"), service_);
  EXPECT_THAT(AwaitRegistered(), ElementsAre(HasSubstr(address)));

  {  // the channel goes before the signal: nobody polls it, so it would answer the server's GOAWAY seconds later
    const auto health =
        grpc::health::v1::Health::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    grpc::health::v1::HealthCheckResponse response;
    ASSERT_TRUE(health->Check(&context, {}, &response).ok());
    EXPECT_EQ(response.status(), grpc::health::v1::HealthCheckResponse::SERVING);
  }
  process->Signal(SIGTERM);
  process->Field("stopped", "");
  const auto stopped = std::chrono::steady_clock::now();
  EXPECT_EQ(process->Exit(), 0) << process->Output();
  EXPECT_LT(std::chrono::steady_clock::now() - stopped, kLastMoments);
  EXPECT_TRUE(Registered().empty());
  EXPECT_THAT(process->Messages(), ElementsAre("started on a port", "serving", "stopping", "stop second", "stop first",
                                               "destroyed second", "destroyed first", "stopped"));
}

TEST_F(RuntimeTest, ACallInProgressIsAnsweredAfterSigterm) {
  auto process = Start("serves");
  const std::string address = process->Field("serving", "address");
  ASSERT_TRUE(Call(address, "alice").status.ok());
  Reply reply;
  std::thread caller([&] { reply = Call(address, "alice", "", 1000); });
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  process->Signal(SIGINT);
  caller.join();
  EXPECT_TRUE(reply.status.ok()) << reply.status;
  EXPECT_EQ(process->Exit(), 0) << process->Output();
}

TEST_F(RuntimeTest, EveryCallHasUserSpanAndMetrics) {
  const int metrics = FreePort();
  auto process = Start("serves", {absl::StrCat("--metrics_listen=127.0.0.1:", metrics)});
  const std::string address = process->Field("serving", "address");
  const std::string parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const Reply good = Call(address, "alice.b-c_9", parent);
  ASSERT_TRUE(good.status.ok()) << good.status;
  EXPECT_EQ(good.user, "alice.b-c_9");
  EXPECT_EQ(telemetry::TraceId(good.span), telemetry::TraceId(parent));
  EXPECT_NE(good.span, parent);
  const Reply nobody = Call(address, "");
  ASSERT_TRUE(nobody.status.ok()) << nobody.status;
  EXPECT_EQ(nobody.user, "");
  EXPECT_EQ(telemetry::TraceId(nobody.span).size(), 32u);
  for (const std::string& bad : {std::string("a b"), std::string(65, 'x'), std::string("a/b")}) {
    const Reply refused = Call(address, bad);
    EXPECT_EQ(refused.status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(errors::Reason(refused.status), "INVALID_FIELD") << bad;
    EXPECT_THAT(std::string(refused.status.message()), HasSubstr("flotilla-user")) << bad;
  }
  const std::string method = "method=\"flotilla.rpc.test.TestService/Echo\"";
  // A call is counted after its answer.
  for (const std::string& line : {absl::StrCat("flotilla_rpc_total{code=\"OK\",", method, "} 2"),
                                  absl::StrCat("flotilla_rpc_total{code=\"INVALID_ARGUMENT\",", method, "} 3"),
                                  absl::StrCat("flotilla_rpc_seconds_count{", method, "} 5")}) {
    std::string page;
    EXPECT_TRUE(Eventually([&] { return absl::StrContains(page = HttpGet(metrics, "/metrics"), line); }))
        << line << " is not in\n"
        << page;
  }
}

TEST_F(RuntimeTest, AWildcardIsAdvertisedAsAnAddressOthersCanDial) {
  auto process = Start("serves", {"--listen=0.0.0.0:0"});
  const std::string address = process->Field("serving", "address");
  EXPECT_FALSE(absl::StartsWith(address, "0.0.0.0") || absl::StartsWith(address, "127.")) << address;
  EXPECT_TRUE(Call(address, "alice").status.ok()) << address;
  auto named = Start("serves", {"--listen=0.0.0.0:0", "--advertise=orders.test:99", "--metrics_listen="});
  EXPECT_EQ(named->Field("serving", "address"), "orders.test:99");
}

TEST_F(RuntimeTest, SigtermEndsWiringAtOnce) {
  auto process = Start("hangs");
  process->Field("wiring", "");
  process->Signal(SIGTERM);
  EXPECT_EQ(process->Exit(10), 0);
}

TEST_F(RuntimeTest, AFailedStartIsAnErrorAndDestroysNewestFirst) {
  for (const auto& [how, error] : {std::pair("fails", "the database is away"), std::pair("throws", "a driver threw")}) {
    auto process = Start(how);
    EXPECT_EQ(process->Exit(), 1) << how;
    EXPECT_THAT(process->Field("cannot start", "error"), HasSubstr(error));
    EXPECT_THAT(process->Messages(), ElementsAre("destroyed second", "destroyed first", "cannot start"));
  }
}

TEST_F(RuntimeTest, MigrationsAreRunAloneOrLeftToAnother) {
  const postgres::TestDatabase database;
  const std::string postgres = "--postgres=" + database.options().uri;
  const auto tables = [&] { return database.Query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"); };
  auto skips = Start("migrates", {postgres, "--migrations=skip"});
  skips->Field("serving", "");
  EXPECT_EQ(tables(), "0");
  auto migrates = Start("migrates", {postgres, "--migrations=only"});
  EXPECT_EQ(migrates->Exit(), 0) << migrates->Output();
  EXPECT_THAT(migrates->Messages(), ElementsAre("destroyed second", "destroyed first", "migrated"));
  EXPECT_EQ(tables(), "2");
  auto both = Start("migrates", {postgres, "--migrations=run"});
  both->Field("serving", "");
}

TEST_F(RuntimeTest, TheOwnerMigratesAndTheServicesRoleGetsItsRights) {
  const postgres::TestDatabase database;
  const postgres::TestRole role(database, {});
  const std::string postgres = "--postgres=" + role.options().uri;
  auto refused = Start("migrates", {postgres, "--migrations=only"});
  EXPECT_EQ(refused->Exit(), 1);
  EXPECT_THAT(refused->Field("cannot start", "error"), HasSubstr("permission denied"));
  auto process = Start("migrates", {postgres, "--owner_postgres=" + database.options().uri, "--migrations=only"});
  EXPECT_EQ(process->Exit(), 0) << process->Output();
  EXPECT_EQ(role.Try("INSERT INTO a VALUES (1)"), "allowed");
  EXPECT_EQ(role.Try("DELETE FROM a"), "refused");
}

TEST_F(RuntimeTest, WithoutKeysAServiceDoesNotStart) {
  const std::vector<std::string> flags = {"tls_cert_file", "tls_key_file", "tls_ca_file",
                                          "jwks_file",     "token_issuer", "token_audience"};
  std::vector<std::string> given = {"--auth=on"};
  for (const std::string& missing : flags) {
    auto process = Start("serves", given);
    EXPECT_EQ(process->Exit(), 2) << missing;
    EXPECT_THAT(process->Output(), HasSubstr(absl::StrCat("--", missing, ": must be set")));
    given.push_back(absl::StrCat("--", missing, "=/nonexistent"));
  }
  auto process = Start("serves", given);
  EXPECT_EQ(process->Exit(), 2);
  EXPECT_THAT(process->Output(), HasSubstr("--tls_cert_file: /nonexistent cannot be read"));
  auto off = Start("serves");
  EXPECT_THAT(off->Field("--auth=off: whoever reaches the port may do everything, as any user", "tls"), "off");
}

TEST_F(RuntimeTest, ATakenPortIsNamed) {
  const TakenPort taken;
  auto process = Start("serves", {"--listen=" + taken.address()});
  EXPECT_EQ(process->Exit(), 1);
  EXPECT_THAT(process->Output(), HasSubstr(taken.address()));
  EXPECT_TRUE(Registered().empty());
  process = Start("serves", {"--metrics_listen=" + taken.address()});
  EXPECT_EQ(process->Exit(), 1);
  EXPECT_THAT(process->Field("cannot serve metrics", "error"), HasSubstr(taken.address()));
}

TEST_F(RuntimeTest, AWrongFlagIsNamed) {
  for (const std::string flag : {"--listen=nowhere",
                                 "--advertise=host:0",
                                 "--metrics_listen=x",
                                 "--etcd=",
                                 "--etcd=a:1,b",
                                 "--redis=x",
                                 "--postgres=",
                                 "--postgres_password_file=/nonexistent",
                                 "--migrations=maybe",
                                 "--nats=x",
                                 "--loops=0",
                                 "--grace_period=-1s",
                                 "--log_level=loud",
                                 "--max_calls=0",
                                 "--max_streams=0",
                                 "--connection_age=0",
                                 "--connection_grace=-1s",
                                 "--user_limits=*=x",
                                 "--method_limits=*",
                                 "--target_latency=-1s",
                                 "--instance_id=a/b",
                                 "--health_listen=x",
                                 "--auth=maybe",
                                 "--loops=many",
                                 "--nosuch=1"}) {
    auto process = Start("serves", {flag});
    const int exit = process->Exit();
    EXPECT_TRUE(exit == 1 || exit == 2) << flag;
    EXPECT_THAT(process->Output(), HasSubstr(flag.substr(2, flag.find('=') - 2)));
  }
  auto help = Start("serves", {"--help"});
  EXPECT_GE(help->Exit(), 0);
  for (const char* flag : {"--listen", "--etcd", "--grace_period", "FLOTILLA_<NAME>"})
    EXPECT_THAT(help->Output(), HasSubstr(flag));
}

}  // namespace
}  // namespace flotilla::runtime

int main(int argc, char** argv) {
  if (argc > 3 && std::string(argv[1]) == "--as-service") {
    const std::string how = argv[2], service = argv[3];
    argv[3] = argv[0];
    return flotilla::runtime::Main(argc - 3, argv + 3, service,
                                   [how](auto& fleet) { return flotilla::runtime::Wire(fleet, how); });
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
