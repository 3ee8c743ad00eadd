#include "runtime/runtime.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <thread>

#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "config/config.h"
#include "config/secret.h"
#include "guard/config.h"
#include "identity/config.h"
#include "runtime/interceptors.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"
#include "tracing/exporter.h"
#include "validation/validation.h"

ABSL_FLAG(std::string, listen, "127.0.0.1:0", "host:port to serve gRPC on; port 0 picks one.");
ABSL_FLAG(std::string, advertise, "",
          "host:port that is registered in etcd; default: the bound address; for a wildcard the machine's first "
          "address that is not loopback.");
ABSL_FLAG(std::string, health_listen, "",
          "host:port that answers grpc.health.v1 alone and without TLS, for probes that know none; empty: none.");
ABSL_FLAG(std::string, metrics_listen, "127.0.0.1:0", "host:port for /metrics; empty switches it off.");
ABSL_FLAG(std::string, etcd, "127.0.0.1:2379", "etcd endpoints: host:port[,host:port...].");
ABSL_FLAG(std::string, postgres, "", "libpq connection string of this service's database.");
ABSL_FLAG(std::string, postgres_password_file, "",
          "File whose first line is the database password; empty: it stands in --postgres or is not needed.");
ABSL_FLAG(std::string, owner_postgres, "",
          "libpq connection string of the role that owns the tables: it migrates them and gives --postgres's role the "
          "rights that the service needs; empty: --postgres's role owns them.");
ABSL_FLAG(std::string, owner_postgres_password_file, "",
          "File whose first line is that role's password; empty: it stands in --owner_postgres or is not needed.");
ABSL_FLAG(std::string, migrations, "run",
          "run: bring the schema up to date, then serve; only: do that and exit; skip: another process does it.");
ABSL_FLAG(std::string, redis, "127.0.0.1:6379", "Redis host:port.");
ABSL_FLAG(std::string, nats, "nats://127.0.0.1:4222", "NATS URL.");
ABSL_FLAG(std::string, instance_id, "", "Unique name of this instance; default: host name and a random number.");
ABSL_FLAG(int, max_calls, 20000, "Calls that may run at once, 1 to 1000000; streams of health and reflection apart.");
ABSL_FLAG(int, max_streams, 1024, "Calls that may run at once on one connection, 1 to 1000000.");
ABSL_FLAG(absl::Duration, connection_age, absl::Hours(1),
          "A connection is replaced after about this time, at least 1 s, so that new certificates count.");
ABSL_FLAG(absl::Duration, connection_grace, absl::Minutes(1), "What calls have, streams too, to end on such a one.");
ABSL_FLAG(int, loops, 2, "Event loop threads, 1 to 64.");
ABSL_FLAG(absl::Duration, grace_period, absl::Seconds(15), "How long running calls may take after SIGTERM.");
ABSL_FLAG(std::string, otlp_endpoint, "",
          "host:port of an OpenTelemetry collector (OTLP over gRPC, no TLS) for traces; empty: none.");
ABSL_FLAG(double, traces_per_second, 10,
          "New traces sampled a second, at most; what a caller has sampled comes on top.");
ABSL_FLAG(std::string, log_level, "info", "debug, info, warn or error.");

namespace flotilla::runtime {
namespace {

// From deregistration to the refusal of new calls.
constexpr std::chrono::milliseconds kFarewell(300);

struct HostPort {
  std::string host;
  int port = 0;
};

bool Split(const std::string& text, HostPort* out) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  out->host = text.substr(0, colon);
  return absl::SimpleAtoi(text.substr(colon + 1), &out->port) && out->port >= 0 && out->port <= 65535;
}

absl::Status InvalidFlag(const char* name, const char* rule) {
  return absl::InvalidArgumentError(absl::StrCat("--", name, ": ", rule));
}

absl::Status CheckFlags() {
  HostPort unused;
  if (!Split(absl::GetFlag(FLAGS_listen), &unused)) return InvalidFlag("listen", "must be host:port");
  if (!Split(absl::GetFlag(FLAGS_redis), &unused)) return InvalidFlag("redis", "must be host:port");
  if (!absl::GetFlag(FLAGS_advertise).empty() &&
      (!Split(absl::GetFlag(FLAGS_advertise), &unused) || unused.port == 0)) {
    return InvalidFlag("advertise", "must be host:port, not port 0");
  }
  for (const absl::string_view endpoint : absl::StrSplit(absl::GetFlag(FLAGS_etcd), ',')) {
    if (!Split(std::string(endpoint), &unused)) return InvalidFlag("etcd", "must be host:port[,host:port...]");
  }
  if (!absl::StrContains(absl::GetFlag(FLAGS_nats), "://"))
    return InvalidFlag("nats", "must be a URL, as in nats://host:4222");
  const std::string instance = absl::GetFlag(FLAGS_instance_id);
  if (!instance.empty() && !validation::IsName(instance)) return InvalidFlag("instance_id", validation::kNameRule);
  if (!absl::GetFlag(FLAGS_metrics_listen).empty() && !Split(absl::GetFlag(FLAGS_metrics_listen), &unused)) {
    return InvalidFlag("metrics_listen", "must be host:port or empty");
  }
  if (absl::GetFlag(FLAGS_postgres).empty()) return InvalidFlag("postgres", "must be set");
  if (!absl::GetFlag(FLAGS_health_listen).empty() && !Split(absl::GetFlag(FLAGS_health_listen), &unused)) {
    return InvalidFlag("health_listen", "must be host:port or empty");
  }
  if (!absl::GetFlag(FLAGS_otlp_endpoint).empty() && !Split(absl::GetFlag(FLAGS_otlp_endpoint), &unused)) {
    return InvalidFlag("otlp_endpoint", "must be host:port or empty");
  }
  if (const double rate = absl::GetFlag(FLAGS_traces_per_second); !(rate >= 0 && rate <= 1000)) {
    return InvalidFlag("traces_per_second", "must be 0 to 1000");
  }
  const std::string migrations = absl::GetFlag(FLAGS_migrations);
  if (migrations != "run" && migrations != "only" && migrations != "skip")
    return InvalidFlag("migrations", "must be run, only or skip");
  if (absl::GetFlag(FLAGS_loops) < 1 || absl::GetFlag(FLAGS_loops) > 64) return InvalidFlag("loops", "must be 1 to 64");
  for (const auto& [name, value] : {std::pair("max_calls", absl::GetFlag(FLAGS_max_calls)),
                                    std::pair("max_streams", absl::GetFlag(FLAGS_max_streams))}) {
    if (value < 1 || value > 1'000'000) return InvalidFlag(name, "must be 1 to 1000000");
  }
  if (absl::GetFlag(FLAGS_connection_age) < absl::Seconds(1)) {
    return InvalidFlag("connection_age", "must be at least 1 s");
  }
  if (absl::GetFlag(FLAGS_connection_grace) < absl::ZeroDuration()) {
    return InvalidFlag("connection_grace", "must not be negative");
  }
  if (absl::GetFlag(FLAGS_grace_period) < absl::ZeroDuration())
    return InvalidFlag("grace_period", "must not be negative");
  return absl::OkStatus();
}

// libpq takes the password from the environment of the process; it shows neither in the command line nor in /proc.
absl::Status ReadPassword() {
  const auto password = config::ReadSecret("postgres_password_file", absl::GetFlag(FLAGS_postgres_password_file));
  if (!password.ok()) return password.status();
  if (!password->empty()) setenv("PGPASSWORD", password->c_str(), 1);
  return absl::OkStatus();
}

absl::StatusOr<telemetry::Level> LogLevel() {
  const std::string level = absl::GetFlag(FLAGS_log_level);
  if (level == "debug") return telemetry::Level::kDebug;
  if (level == "info") return telemetry::Level::kInfo;
  if (level == "warn") return telemetry::Level::kWarning;
  if (level == "error") return telemetry::Level::kError;
  return InvalidFlag("log_level", "must be debug, info, warn or error");
}

std::string HostName() {
  char name[256] = "localhost";
  gethostname(name, sizeof(name) - 1);
  return name;
}

std::string InstanceId(const std::string& service) {
  const std::string given = absl::GetFlag(FLAGS_instance_id);
  if (!given.empty()) return given;
  return absl::StrCat(service, "-", HostName(), "-", absl::Hex(std::random_device{}()));
}

// Others can dial it without a name service; a container's or pod's host name is often known to itself only.
std::string OwnAddress() {
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return HostName();
  std::string v4, v6;
  for (const ifaddrs* each = all; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr || (each->ifa_flags & IFF_UP) == 0 || (each->ifa_flags & IFF_LOOPBACK) != 0) continue;
    char text[INET6_ADDRSTRLEN];
    if (each->ifa_addr->sa_family == AF_INET && v4.empty()) {
      const auto& address = reinterpret_cast<const sockaddr_in*>(each->ifa_addr)->sin_addr;
      v4 = inet_ntop(AF_INET, &address, text, sizeof(text));
    } else if (each->ifa_addr->sa_family == AF_INET6 && v6.empty()) {
      const auto& address = reinterpret_cast<const sockaddr_in6*>(each->ifa_addr)->sin6_addr;
      if (!IN6_IS_ADDR_LINKLOCAL(&address))
        v6 = absl::StrCat("[", inet_ntop(AF_INET6, &address, text, sizeof(text)), "]");
    }
  }
  freeifaddrs(all);
  return !v4.empty() ? v4 : !v6.empty() ? v6 : HostName();
}

std::string Advertised(int port) {
  const std::string given = absl::GetFlag(FLAGS_advertise);
  if (!given.empty()) return given;
  HostPort listen;
  Split(absl::GetFlag(FLAGS_listen), &listen);
  const bool wildcard = listen.host == "0.0.0.0" || listen.host == "[::]";
  return absl::StrCat(wildcard ? OwnAddress() : listen.host, ":", port);
}

// SIGTERM and SIGINT, taken by one thread. Before Release() they end the process at once: nothing has been promised
// yet.
class Signals {
 public:
  Signals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGTERM);
    sigaddset(&set_, SIGINT);
    // Threads started from now on inherit the mask.
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    signal(SIGPIPE, SIG_IGN);
    starting_ = std::thread([this] {
      const timespec turn{0, 50000000};
      while (!released_.load()) {
        if (sigtimedwait(&set_, nullptr, &turn) > 0) _exit(0);
      }
    });
  }
  ~Signals() { Release(); }
  void Release() {
    released_.store(true);
    if (starting_.joinable()) starting_.join();
  }
  // Blocks until a signal comes, also one that came since Release().
  void Wait() {
    int signal_number = 0;
    sigwait(&set_, &signal_number);
  }

 private:
  sigset_t set_;
  std::atomic<bool> released_ = false;
  std::thread starting_;
};

}  // namespace

struct Fleet::Impl {
  explicit Impl(std::string id) : instance_id(std::move(id)) {}
  const std::string instance_id;
  std::string service;
  identity::Identity identity;
  std::unique_ptr<rpc::Server> server;
  std::map<std::string, std::shared_ptr<rpc::ChannelPool>> peers;

  registry::Options etcd() const {
    registry::Options options;
    options.etcd = absl::GetFlag(FLAGS_etcd);
    return options;
  }
};

Fleet::Fleet() = default;

rpc::Server& Fleet::server() { return *impl_->server; }
const std::string& Fleet::instance_id() const { return impl_->instance_id; }

postgres::Options Fleet::postgres() const {
  postgres::Options options;
  options.uri = absl::GetFlag(FLAGS_postgres);
  options.application_name = "flotilla-" + impl_->service;
  return options;
}

redis::Options Fleet::redis() const {
  HostPort address;
  Split(absl::GetFlag(FLAGS_redis), &address);
  redis::Options options;
  options.host = address.host;
  options.port = address.port;
  return options;
}

events::NatsOptions Fleet::nats() const { return {.url = absl::GetFlag(FLAGS_nats)}; }

absl::Status Fleet::Migrate(const postgres::Rights& rights,
                            const std::function<absl::Status(const postgres::Options& owner)>& migrate) const {
  const std::string how = absl::GetFlag(FLAGS_migrations);
  if (how == "skip") return absl::OkStatus();
  postgres::Options owner = postgres();
  const std::string uri = absl::GetFlag(FLAGS_owner_postgres);
  if (!uri.empty()) {
    const auto password =
        config::ReadSecret("owner_postgres_password_file", absl::GetFlag(FLAGS_owner_postgres_password_file));
    if (!password.ok()) return password.status();
    owner.uri = uri;
    owner.password = *password;
  }
  if (auto status = migrate(owner); !status.ok()) return status;
  if (!uri.empty()) {
    const auto status = Patiently([&] { return postgres::GrantRights(owner, postgres(), rights); });
    if (!status.ok()) return status;
  }
  return how == "only" ? absl::CancelledError("the schema is up to date") : absl::OkStatus();
}

absl::Status Fleet::Patiently(const std::function<absl::Status()>& step) const {
  for (const absl::Time deadline = absl::Now() + kDatabasePatience;;) {
    absl::Status status = step();
    if (!absl::IsUnavailable(status) || absl::Now() >= deadline) return status;
    absl::SleepFor(absl::Milliseconds(200));
  }
}

std::shared_ptr<rpc::ChannelPool> Fleet::Peer(const std::string& service) {
  auto& peer = impl_->peers[service];
  if (peer == nullptr) {
    rpc::Security security;
    if (impl_->identity.tls.channel != nullptr) {
      security = {impl_->identity.tls.channel, identity::CertificateName(service)};
    }
    peer = std::make_shared<rpc::ChannelPool>(service, std::make_shared<registry::Resolver>(impl_->etcd(), service),
                                              std::move(security));
  }
  return peer;
}

int Main(int argc, char** argv, const std::string& service, const std::function<absl::Status(Fleet&)>& wire) {
  absl::Status status = config::Parse(argc, argv);
  if (status.ok()) status = CheckFlags();
  if (status.ok()) status = ReadPassword();
  const absl::StatusOr<telemetry::Level> level = LogLevel();
  if (status.ok()) status = level.status();
  if (!status.ok()) {
    std::cerr << argv[0] << ": " << status.message() << "\n";
    return 2;
  }
  telemetry::InitLog(service, *level);
  const bool serves = absl::GetFlag(FLAGS_migrations) != "only";
  absl::StatusOr<identity::Identity> identity = serves ? identity::FromFlags() : identity::Identity{};
  if (!identity.ok()) {
    std::cerr << argv[0] << ": " << identity.status().message() << "\n";
    return 2;
  }
  absl::StatusOr<std::shared_ptr<guard::Admission>> admission = guard::FromFlags();
  if (!admission.ok()) {
    std::cerr << argv[0] << ": " << admission.status().message() << "\n";
    return 2;
  }
  // Debian's abseil is built with the detector on; gRPC would pay for it at every lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const auto fail = [](const char* what, const absl::Status& error) {
    telemetry::Error(what, {{"error", error.ToString()}});
    return 1;
  };

  Signals signals;
  // Never destroyed: it serves until the process ends, and its threads would take two seconds to stop.
  [[maybe_unused]] static telemetry::MetricsEndpoint* metrics = nullptr;
  try {
    const std::string listen = absl::GetFlag(FLAGS_metrics_listen);
    if (!listen.empty()) metrics = new telemetry::MetricsEndpoint(listen);
  } catch (const std::exception& e) {
    return fail("cannot serve metrics", absl::UnavailableError(absl::StrCat(
                                            "--metrics_listen=", absl::GetFlag(FLAGS_metrics_listen), ": ", e.what())));
  }

  Fleet fleet;
  fleet.impl_ = std::make_shared<Fleet::Impl>(InstanceId(service));
  fleet.impl_->service = service;
  fleet.impl_->identity = *std::move(identity);
  fleet.impl_->server =
      std::make_unique<rpc::Server>(rpc::ServerOptions{.listen = absl::GetFlag(FLAGS_listen),
                                                       .loops = absl::GetFlag(FLAGS_loops),
                                                       .credentials = fleet.impl_->identity.tls.server,
                                                       .health_listen = absl::GetFlag(FLAGS_health_listen),
                                                       .max_concurrent_calls = absl::GetFlag(FLAGS_max_calls),
                                                       .max_streams = absl::GetFlag(FLAGS_max_streams),
                                                       .connection_age = absl::GetFlag(FLAGS_connection_age),
                                                       .connection_grace = absl::GetFlag(FLAGS_connection_grace)});
  // Ends after everything that has spans.
  std::unique_ptr<tracing::Exporter> exporter;
  if (const std::string collector = absl::GetFlag(FLAGS_otlp_endpoint); !collector.empty()) {
    exporter = std::make_unique<tracing::Exporter>(
        tracing::ExportOptions{.endpoint = collector,
                               .service = "flotilla-" + service,
                               .instance = fleet.instance_id(),
                               .traces_per_second = absl::GetFlag(FLAGS_traces_per_second)});
  }
  rpc::Server& server = *fleet.impl_->server;
  server.AddInterceptor(std::make_shared<Tracing>());
  server.AddInterceptor(std::make_shared<CallMetrics>());
  if (fleet.impl_->identity.interceptor != nullptr) server.AddInterceptor(fleet.impl_->identity.interceptor);
  if (fleet.impl_->identity.audit != nullptr) server.AddInterceptor(fleet.impl_->identity.audit);
  server.AddInterceptor(*admission);

  const auto drop_kept = [&fleet] {
    while (!fleet.kept_.empty()) fleet.kept_.pop_back();
  };
  try {
    status = wire(fleet);
  } catch (const std::exception& e) {  // of a driver: the last place to turn it into an error
    status = absl::InternalError(e.what());
  }
  const bool only_migrated = absl::IsCancelled(status) && absl::GetFlag(FLAGS_migrations) == "only";
  if (status.ok()) status = server.Start();
  if (!status.ok()) {
    drop_kept();
    if (only_migrated) {
      telemetry::Info("migrated");
      return 0;
    }
    return fail("cannot start", status);
  }
  for (auto& hook : fleet.started_) hook();
  signals.Release();
  server.SetServing(true);
  auto registration = std::make_unique<registry::Registration>(fleet.impl_->etcd(), service, fleet.instance_id(),
                                                               Advertised(server.port()));
  telemetry::Info("serving", {{"instance", fleet.instance_id()}, {"address", Advertised(server.port())}});

  signals.Wait();
  telemetry::Info("stopping");
  registration->Deregister();
  server.SetServing(false);
  // Callers hear of it within milliseconds; until then their calls are still welcome.
  std::this_thread::sleep_for(kFarewell);
  // The hooks come after the last call: what a call has begun must be driven until then.
  server.Shutdown(absl::GetFlag(FLAGS_grace_period), [&fleet] {
    for (auto hook = fleet.stop_.rbegin(); hook != fleet.stop_.rend(); ++hook) (*hook)();
  });
  drop_kept();
  telemetry::Info("stopped");
  return 0;
}

}  // namespace flotilla::runtime
