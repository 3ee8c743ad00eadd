// What a saga costs: three steps, each a gRPC call that does nothing, on the engine the services use, with records in
// PostgreSQL. Begin and end go through batchers as in the order service, but change no state beside the saga's own
// record. Prints sagas a second and the CPU of each process, then the recovery rate; fails where a saga has not ended
// as it must.
//
// Arguments: libpq uri of a superuser's database (a database of its own is made beside it and dropped), seconds a row.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <latch>
#include <mutex>
#include <optional>
#include <pqxx/pqxx>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "async/task.h"
#include "batch/worker_batcher.h"
#include "echo.grpc.pb.h"
#include "errors/errors.h"
#include "process/process.h"
#include "rpc/client.h"
#include "rpc/server.h"
#include "saga/migrations.h"
#include "saga/saga.h"
#include "telemetry/log.h"

namespace flotilla {
namespace {

using bench::OwnSeconds;
using bench::TimeOf;
using bench::TreeSeconds;
using bench::v1::EchoRequest;
using bench::v1::EchoResponse;
using bench::v1::EchoService;

constexpr char kOwner[] = "bench";
constexpr char kRefuse[] = "refuse";  // what the echo refuses

// ---- the participant, in a process of its own ----

// Serves until SIGTERM or its parent's end; writes its port to `port_pipe`.
[[noreturn]] void ServeEcho(int port_pipe) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  rpc::Server server({});
  auto service = std::make_shared<EchoService::AsyncService>();
  server.AddService(service);
  server.Unary(service.get(), &EchoService::AsyncService::RequestEcho, "flotilla.bench.v1.EchoService/Echo",
               [](rpc::Call&, const EchoRequest& request) -> async::Task<absl::StatusOr<EchoResponse>> {
                 if (request.payload() == kRefuse) {
                   co_return errors::Make(absl::StatusCode::kFailedPrecondition, "REFUSED", "as asked");
                 }
                 EchoResponse response;
                 response.set_payload(request.payload());
                 co_return response;
               });
  const absl::Status status = server.Start();
  const int port = status.ok() ? server.port() : 0;
  if (write(port_pipe, &port, sizeof port) != sizeof port || port == 0) _exit(1);
  int signal = 0;
  sigwait(&signals, &signal);
  server.Shutdown(absl::Seconds(1));
  _exit(0);
}

struct Cpu {
  double engine = 0, echo = 0, postgres = 0;
};

// ---- the service around the engine ----

// A database of this run's own. Throws where the server cannot be reached.
class Database {
 public:
  explicit Database(const std::string& admin) : admin_(admin), name_(absl::StrCat("bench_saga_", getpid())) {
    Execute(admin_, "CREATE DATABASE " + name_);
    options_.uri = admin_.substr(0, admin_.rfind('/') + 1) + name_;
    options_.application_name = "flotilla-bench-saga";
  }
  ~Database() {
    try {
      Execute(admin_, "DROP DATABASE " + name_ + " WITH (FORCE)");
    } catch (const std::exception& e) {
      std::cerr << "database " << name_ << " was left behind: " << e.what() << "\n";
    }
  }
  Database(const Database&) = delete;

  const postgres::Options& options() const { return options_; }
  std::string Query(const std::string& sql) const { return Execute(options_.uri, sql); }

  // The server's main process where it runs on this machine, else 0.
  int Postmaster() const {
    pqxx::connection connection(options_.uri);
    const int backend = pqxx::nontransaction(connection).exec("SELECT pg_backend_pid()")[0][0].as<int>();
    std::ifstream file(absl::StrCat("/proc/", backend, "/comm"));
    std::string name;
    std::getline(file, name);
    const auto time = TimeOf(backend);
    return name == "postgres" && time ? time->parent : 0;
  }

 private:
  static std::string Execute(const std::string& uri, const std::string& sql) {
    pqxx::connection connection(uri);
    const pqxx::result result = pqxx::nontransaction(connection).exec(sql);
    return result.empty() || result[0][0].is_null() ? "" : result[0][0].as<std::string>();
  }

  const std::string admin_, name_;
  postgres::Options options_;
};

using Batcher = batch::WorkerBatcher<saga::Record, bool>;

// One commit a batch: true where the record was written, or ended.
Batcher::Flush Flusher(const postgres::Options& options, bool begin, absl::Duration lease) {
  auto session = std::make_shared<postgres::Session>(options);
  return [session, begin, lease](const std::vector<saga::Record>& records) -> Batcher::Results {
    std::set<std::string> ended;
    const absl::Status status = session->Transact([&](postgres::Transaction& transaction) {
      ended.clear();
      if (begin) {
        saga::Begin(transaction, records, kOwner, lease);
      } else {
        for (auto& id : saga::End(transaction, records)) ended.insert(std::move(id));
      }
      return absl::OkStatus();
    });
    Batcher::Results results;
    results.reserve(records.size());
    for (const saga::Record& record : records) {
      if (!status.ok()) {
        results.emplace_back(status);
      } else {
        results.emplace_back(begin || ended.contains(record.id));
      }
    }
    return results;
  };
}

class Service {
 public:
  Service(const Database& database, int echo_port)
      : database_(database),
        pool_(std::make_shared<rpc::ChannelPool>(
            "echo", std::make_shared<rpc::StaticEndpoints>(std::vector{absl::StrCat("127.0.0.1:", echo_port)}))),
        client_(pool_),
        begin_({.name = "begin"}, [this](int) { return Flusher(database_.options(), true, EngineOptions().lease); }),
        end_({.name = "end"}, [this](int) { return Flusher(database_.options(), false, EngineOptions().lease); }),
        engine_(std::make_unique<saga::Engine>(EngineOptions(), std::vector<saga::Definition>{Definition()})) {
    for (int i = 0; i < 2; ++i) {
      loops_.push_back(std::make_unique<rpc::Loop>(std::make_unique<grpc::CompletionQueue>()));
    }
  }
  ~Service() {
    engine_->Stop(absl::Seconds(5));
    engine_.reset();
    for (auto& loop : loops_) loop->Stop();
  }
  Service(const Service&) = delete;

  saga::Engine& engine() { return *engine_; }
  std::vector<async::Executor*> executors() const {
    std::vector<async::Executor*> out;
    for (const auto& loop : loops_) out.push_back(loop.get());
    return out;
  }

  static saga::Record MakeRecord(const std::string& prefix, std::int64_t number, int refused_percent) {
    saga::Record record;
    record.id = absl::StrCat(prefix, "-", number);
    record.type = "bench";
    record.data = number % 100 < refused_percent ? kRefuse : "x";
    return record;
  }

  // Keeps `concurrency` sagas going until `until`.
  struct Load {
    std::string prefix;
    int refused_percent = 0;
    absl::Time until;
    std::atomic<std::int64_t> next = 0, completed = 0, compensated = 0, failed = 0, refused = 0;
    std::mutex mutex;
    std::vector<double> milliseconds;
  };
  void Run(Load& load, int concurrency) {
    std::latch done(concurrency);
    for (int i = 0; i < concurrency; ++i) {
      async::Spawn(*loops_[static_cast<std::size_t>(i) % loops_.size()], Client(*this, load, done));
    }
    done.wait();
  }

 private:
  saga::EngineOptions EngineOptions() const {
    saga::EngineOptions options;
    options.postgres = database_.options();
    options.owner = kOwner;
    return options;
  }

  static async::Task<void> Client(Service& self, Load& load, std::latch& done) {
    std::vector<double> took;
    while (absl::Now() < load.until) {
      const saga::Record record = MakeRecord(load.prefix, load.next++, load.refused_percent);
      const absl::Time start = absl::Now();
      const absl::StatusOr<bool> begun = co_await self.begin_.Call(record);
      if (!begun.ok()) {
        std::cerr << "begin: " << begun.status() << "\n";
        ++load.failed;
        break;
      }
      if (record.data == kRefuse) ++load.refused;
      const saga::Outcome outcome = co_await self.engine_->Run(record);
      took.push_back(absl::ToDoubleMilliseconds(absl::Now() - start));
      if (outcome == saga::Outcome::kCompleted) {
        ++load.completed;
      } else if (outcome == saga::Outcome::kCompensated) {
        ++load.compensated;
      } else {
        ++load.failed;
      }
    }
    {
      std::lock_guard lock(load.mutex);
      load.milliseconds.insert(load.milliseconds.end(), took.begin(), took.end());
    }
    done.count_down();
  }

  async::Task<absl::Status> Echo(std::string payload, absl::Time deadline) {
    EchoRequest request;
    request.set_payload(std::move(payload));
    const auto response =
        co_await client_.Call(&EchoService::Stub::PrepareAsyncEcho, std::move(request), {.deadline = deadline});
    co_return response.status();
  }

  async::Task<absl::Status> Finish(saga::Context& context) {
    const absl::StatusOr<bool> ended = co_await end_.Call(context.record);
    if (!ended.ok()) co_return ended.status();
    co_return *ended ? absl::OkStatus() : saga::Lost();
  }

  // As an order's: two steps that can be undone, a third that decides.
  saga::Definition Definition() {
    const saga::Action call = [this](saga::Context& c) { return Echo("x", c.deadline); };
    saga::Definition definition;
    definition.type = "bench";
    definition.steps.push_back({.name = "first", .action = call, .compensation = call});
    definition.steps.push_back({.name = "second", .action = call, .compensation = call});
    definition.steps.push_back({.name = "third",
                                .action = [this](saga::Context& c) { return Echo(c.record.data, c.deadline); },
                                .pivot = true});
    definition.finish_forward = [this](saga::Context& c) { return Finish(c); };
    definition.finish_compensated = definition.finish_forward;
    return definition;
  }

  const Database& database_;
  std::shared_ptr<rpc::ChannelPool> pool_;
  rpc::Client<EchoService> client_;
  std::vector<std::unique_ptr<rpc::Loop>> loops_;
  Batcher begin_, end_;
  std::unique_ptr<saga::Engine> engine_;
};

// ---- the measurements ----

class Bench {
 public:
  Bench(const Database& database, int echo_pid, int echo_port)
      : database_(database), echo_pid_(echo_pid), echo_port_(echo_port), postmaster_(database.Postmaster()) {}

  // False where a saga did not end as it must.
  bool Throughput(int concurrency, int refused_percent, absl::Duration duration) {
    Service service(database_, echo_port_);
    Service::Load warm;
    warm.prefix = absl::StrCat("warm-", concurrency, "-", refused_percent);
    warm.until = absl::Now() + absl::Seconds(1);
    service.Run(warm, concurrency);

    Service::Load load;
    load.prefix = absl::StrCat("run-", concurrency, "-", refused_percent);
    load.refused_percent = refused_percent;
    const absl::Time start = absl::Now();
    load.until = start + duration;
    const Cpu before = Now();
    service.Run(load, concurrency);
    const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
    const Cpu after = Now();

    const auto sagas = static_cast<double>(std::max<std::int64_t>(load.completed + load.compensated, 1));
    std::sort(load.milliseconds.begin(), load.milliseconds.end());
    const auto percentile = [&](double p) {
      return load.milliseconds.empty()
                 ? 0
                 : load.milliseconds[static_cast<std::size_t>(p * static_cast<double>(load.milliseconds.size() - 1))];
    };
    std::printf("%11d %10.1f%% %9.0f %8.2f %8.2f ", concurrency, 100.0 * static_cast<double>(load.compensated) / sagas,
                sagas / seconds, percentile(.5), percentile(.99));
    PrintCpu(before, after, sagas);
    if (load.failed == 0 && load.compensated == load.refused && database_.Query("SELECT count(*) FROM saga") == "0") {
      return true;
    }
    std::printf("WRONG: %ld neither completed nor compensated, %ld of %ld refused ones compensated, %s records left\n",
                load.failed.load(), load.compensated.load(), load.refused.load(),
                database_.Query("SELECT count(*) FROM saga").c_str());
    return false;
  }

  // Orphans of an owner that is gone, all claimable at once.
  bool Recovery(int count) {
    Fill(count);
    Service service(database_, echo_port_);
    const Cpu before = Now();
    const absl::Time start = absl::Now();
    absl::Time first = absl::InfiniteFuture();
    service.engine().StartRecovery(service.executors());
    for (;;) {
      const saga::Engine::Stats stats = service.engine().stats();
      if (stats.completed > 0) first = std::min(first, absl::Now());
      if (stats.completed == count) break;
      if (absl::Now() > start + absl::Minutes(3)) {
        std::printf("WRONG: %ld of %d orphans have ended after 3 minutes\n", stats.completed, count);
        return false;
      }
      absl::SleepFor(absl::Milliseconds(2));
    }
    const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
    std::printf("recovery: %d orphans, %.0f/s, the first ended after %.0f ms; us of CPU each: ", count, count / seconds,
                absl::ToDoubleMilliseconds(first - start));
    PrintCpu(before, Now(), count);
    const std::int64_t recovered = service.engine().stats().recovered;
    if (recovered == count) return true;
    std::printf("WRONG: %ld take-overs of %d orphans\n", recovered, count);
    return false;
  }

 private:
  void Fill(int count) {
    postgres::Session session(database_.options());
    for (int from = 0; from < count; from += 1000) {
      std::vector<saga::Record> records;
      for (int i = from; i < std::min(from + 1000, count); ++i) records.push_back(Service::MakeRecord("orphan", i, 0));
      const absl::Status status = session.Transact([&](postgres::Transaction& transaction) {
        saga::Begin(transaction, records, "gone", -absl::Seconds(1));
        return absl::OkStatus();
      });
      if (!status.ok()) throw std::runtime_error(status.ToString());
    }
  }

  Cpu Now() const {
    const auto echo = TimeOf(echo_pid_);
    return {OwnSeconds(), echo ? echo->seconds : 0, postmaster_ == 0 ? 0 : TreeSeconds(postmaster_)};
  }

  void PrintCpu(const Cpu& before, const Cpu& after, double sagas) const {
    const auto each = [&](double Cpu::* part) { return (after.*part - before.*part) * 1e6 / sagas; };
    const double engine = each(&Cpu::engine), echo = each(&Cpu::echo), postgres = each(&Cpu::postgres);
    if (postmaster_ != 0) {
      std::printf("%8.1f %8.1f %8.1f %8.1f\n", engine, echo, postgres, engine + echo + postgres);
    } else {
      std::printf("%8.1f %8.1f %8s %8s\n", engine, echo, "-", "-");  // PostgreSQL is on another machine
    }
    std::fflush(stdout);
  }

  const Database& database_;
  const int echo_pid_, echo_port_, postmaster_;
};

int Main(const std::string& admin, absl::Duration duration, int echo_pid, int echo_port) {
  telemetry::InitLog("bench-saga", telemetry::Level::kWarning);
  const Database database(admin);
  const absl::Status migrated = postgres::Migrate(database.options(), saga::Migrations(), absl::Seconds(10));
  if (!migrated.ok()) throw std::runtime_error(migrated.ToString());
  Bench bench(database, echo_pid, echo_port);

  double load = 0;
  std::ifstream("/proc/loadavg") >> load;
  std::printf(
      "three no-op gRPC steps; %ld cores, load %.2f before the start; PostgreSQL %s, fsync %s, synchronous_commit %s\n",
      sysconf(_SC_NPROCESSORS_ONLN), load, database.Query("SHOW server_version").c_str(),
      database.Query("SHOW fsync").c_str(), database.Query("SHOW synchronous_commit").c_str());
  std::printf("%11s %11s %9s %8s %8s %8s %8s %8s %8s\n", "", "", "", "ms", "", "us of CPU a saga", "", "", "");
  std::printf("%11s %11s %9s %8s %8s %8s %8s %8s %8s\n", "concurrency", "compensated", "sagas/s", "p50", "p99",
              "engine", "echo", "postgres", "all");
  bool right = true;
  for (const int percent : {0, 20}) {
    for (const int concurrency : {1, 16, 64, 256}) right = bench.Throughput(concurrency, percent, duration) && right;
  }
  right = bench.Recovery(20000) && right;
  return right ? 0 : 1;
}

}  // namespace
}  // namespace flotilla

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::cerr << "usage: flotilla-bench-saga postgresql://user@host:port/database [seconds a row, 5]\n";
    return 2;
  }
  const int seconds = argc == 3 ? std::atoi(argv[2]) : 5;
  int port_pipe[2];
  if (seconds < 1 || pipe(port_pipe) != 0) return 2;
  const int echo = fork();  // before any thread and any gRPC
  if (echo == 0) flotilla::ServeEcho(port_pipe[1]);
  close(port_pipe[1]);
  int port = 0;
  int exit_code = 1;
  if (echo < 0 || read(port_pipe[0], &port, sizeof port) != sizeof port || port == 0) {
    std::cerr << "the echo server did not start\n";
  } else {
    try {
      exit_code = flotilla::Main(argv[1], absl::Seconds(seconds), echo, port);
    } catch (const std::exception& e) {
      std::cerr << e.what() << "\n";
    }
  }
  if (echo > 0) {
    kill(echo, SIGTERM);
    waitpid(echo, nullptr, 0);
  }
  return exit_code;
}
