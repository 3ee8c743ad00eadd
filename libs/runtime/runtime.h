// What every service's main does besides its own wiring: configuration, logs, metrics, server, health, registration,
// SIGTERM.
//
//   int main(int argc, char** argv) { return flotilla::runtime::Main(argc, argv, "inventory", Wire); }
//
// Wire builds the service into `fleet` (handlers on fleet.server, things to keep alive through fleet.Keep) and may
// block for dependencies; SIGTERM during Wire ends the process at once. After Wire the server starts, then OnStarted
// hooks run, then health turns SERVING and the instance registers. On SIGTERM or SIGINT: deregister, NOT_SERVING,
// 0.3 s for callers to hear of it, drain within --grace_period, OnStop hooks (newest first; the loops still run), exit
// 0.
//
// Flags, each also FLOTILLA_<NAME> in the environment and in --flagfile (precedence: command line, environment, file):
// --listen, --advertise, --health_listen, --metrics_listen, --etcd, --postgres, --postgres_password_file,
// --owner_postgres, --owner_postgres_password_file, --migrations, --redis, --nats, --instance_id, --loops, --max_calls,
// --max_streams, --connection_age, --connection_grace, --grace_period, --log_level, and those of libs/identity and
// libs/guard.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "events/log.h"
#include "postgres/rights.h"
#include "postgres/session.h"
#include "redis/client.h"
#include "registry/registry.h"
#include "rpc/client.h"
#include "rpc/server.h"

namespace flotilla::runtime {

// How long a start waits for its database.
constexpr absl::Duration kDatabasePatience = absl::Seconds(60);

class Fleet {
 public:
  rpc::Server& server();
  const std::string& instance_id() const;
  postgres::Options postgres() const;  // from --postgres
  redis::Options redis() const;        // from --redis host:port
  events::NatsOptions nats() const;    // from --nats
  // Brings the schema up to date, as --migrations says: `migrate` as the role that owns the tables, --owner_postgres or
  // else --postgres, which is then given `rights` where it is another. CANCELLED where this process is for nothing
  // else: Wire hands it on and Main ends with 0.
  absl::Status Migrate(const postgres::Rights& rights,
                       const std::function<absl::Status(const postgres::Options& owner)>& migrate) const;
  // Repeats what Wire needs of a server while the answer is UNAVAILABLE, for a minute: servers may start, or start
  // again, while we do.
  absl::Status Patiently(const std::function<absl::Status()>& step) const;
  // Endpoints of another service, followed in etcd.
  std::shared_ptr<rpc::ChannelPool> Peer(const std::string& service);

  // Kept until after the server has stopped, destroyed newest first.
  template <class T>
  T* Keep(std::unique_ptr<T> object) {
    T* raw = object.get();
    kept_.push_back(std::shared_ptr<T>(std::move(object)));
    return raw;
  }
  // Kept, begun once the server runs, and ended while its loops still do: for work that makes calls by them.
  template <class Work>
  void RunWhileServing(std::unique_ptr<Work> owned) {
    Work* work = Keep(std::move(owned));
    OnStarted([work] { work->Start(); });
    OnStop([work] { work->Stop(); });
  }
  void OnStarted(std::function<void()> hook) { started_.push_back(std::move(hook)); }
  void OnStop(std::function<void()> hook) { stop_.push_back(std::move(hook)); }

 private:
  friend int Main(int, char**, const std::string&, const std::function<absl::Status(Fleet&)>&);
  Fleet();
  std::vector<std::shared_ptr<void>> kept_;
  std::vector<std::function<void()>> started_, stop_;
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

int Main(int argc, char** argv, const std::string& service, const std::function<absl::Status(Fleet&)>& wire);

}  // namespace flotilla::runtime
