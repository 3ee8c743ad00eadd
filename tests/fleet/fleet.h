// A whole fleet for one test suite: fresh databases on the test PostgreSQL, a Redis, an etcd and a NATS of its own, and
// the real service binaries. Everything is gone when it is destroyed.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fleet/calls.h"
#include "fleet/proxy.h"
#include "flotilla/inventory/v1/inventory_service.grpc.pb.h"
#include "flotilla/notify/v1/notify_service.grpc.pb.h"
#include "flotilla/order/v1/order_service.grpc.pb.h"
#include "flotilla/order/v1/saga_admin_service.grpc.pb.h"
#include "flotilla/payment/v1/payment_service.grpc.pb.h"
#include "testing/environment.h"
#include "testing/postgres_server.h"
#include "testing/process.h"

namespace flotilla::fleet {

struct FleetOptions {
  std::string bin = TestBin();  // of the services
  // A PostgreSQL of the fleet's own, in this folder or, where it is empty, beside the other servers' data.
  bool own_postgres = false;
  std::filesystem::path postgres_folder = {};
  std::vector<std::string> postgres_settings = {"fsync=off"};
  // Calendar clocks of the instances that SetClock sets; under a sanitizer they stay right.
  bool own_clocks = false;
  // A folder that deploy/local/dev-ca has made, for a fleet with --auth=on; empty: off.
  std::filesystem::path identity = {};
};

class Fleet {
 public:
  // Starts servers; services with StartAll() or one by one.
  explicit Fleet(FleetOptions options = {});
  ~Fleet();

  void StartAll(int instances = 1);  // so many of each service; waits for all as WaitServing does

  // Starts another instance of a service and returns its name ("order-2"); the first is "order-1".
  std::string Start(const std::string& service, std::vector<std::string> flags = {},
                    std::map<std::string, std::string> environment = {});
  // The same, to be reached by the others through the proxy alone.
  std::string StartBehind(Proxy& proxy, const std::string& service, std::vector<std::string> flags = {});
  // And until the others can find it in etcd, unless that is stopped.
  void WaitServing(const std::string& instance, int seconds = 60);
  // So many instances of a service are known to etcd; -1 where it does not answer.
  int Listed(const std::string& service) const;
  // Starts a stopped or killed instance again on its old port, with these flags more than it was first started with.
  void Restart(const std::string& instance, std::vector<std::string> flags = {});
  void Kill(const std::string& instance);  // SIGKILL
  void KillAndRestart(const std::string& instance);
  // Sets an instance's clock, which keeps its offset when the instance starts again. With FleetOptions::own_clocks.
  void SetClock(const std::string& instance, absl::Duration offset);
  Process& process(const std::string& instance) { return *processes_.at(instance); }
  std::string address(const std::string& instance) const;

  void StartServer(const std::string& server);       // "redis", "etcd", "nats": again, with its old data
  void StopServer(const std::string& server);        // SIGKILL
  void WipeServer(const std::string& server);        // its data, while it is stopped
  PostgresServer& postgres() { return *postgres_; }  // where it is the fleet's own
  int port(const std::string& name) const;           // of a server or an instance

  std::shared_ptr<grpc::Channel> channel(const std::string& instance) const;
  std::unique_ptr<order::v1::OrderService::Stub> orders(const std::string& instance = "order-1") const;
  std::unique_ptr<order::v1::SagaAdminService::Stub> sagas(const std::string& instance = "order-1") const;
  std::unique_ptr<inventory::v1::InventoryService::Stub> inventory(const std::string& instance = "inventory-1") const;
  std::unique_ptr<payment::v1::PaymentService::Stub> payments(const std::string& instance = "payment-1") const;
  std::unique_ptr<notify::v1::NotifyService::Stub> notifications(const std::string& instance = "notify-1") const;

  std::string Database(const std::string& service) const { return prefix_ + service; }  // its name
  std::string DatabaseUri(const std::string& service) const;                            // as the administrator
  // First column of the first row of a query on a service's database.
  std::int64_t Query(const std::string& service, const std::string& sql) const;
  // The folder of all logs, which is not removed then.
  std::string KeepLogs() {
    keep_logs_ = true;
    return folder_.string();
  }
  // All log lines of an instance, of all its lives.
  std::string Log(const std::string& name) const { return processes_.at(name)->Output(); }
  // Waits until a query on a service's database answers `value`.
  bool WaitForQuery(const std::string& service, const std::string& sql, std::int64_t value, int seconds) const;

  // Waits until sagas have ended and events are delivered, then runs flotilla-check on everything, the log of the calls
  // below included; "" or its output.
  std::string Check();

  // --- what tests do all the time
  void PutSku(const std::string& sku, std::int64_t price, std::int64_t quantity);
  inventory::v1::Stock Stock(const std::string& sku);
  void OpenWallet(const std::string& user, std::int64_t balance);
  std::int64_t Balance(const std::string& user);

 private:
  struct Instance {
    std::string service;
    int port;
    std::string advertised;  // host:port
    std::vector<std::string> command;
    std::map<std::string, std::string> environment;
  };
  // Of a service's instances, or of all where it is empty, as etcd lists them.
  absl::StatusOr<std::vector<std::string>> Addresses(const std::string& service) const;
  std::vector<std::string> IdentityFlags(const std::string& service) const;
  std::string ServiceUri(const std::string& service) const;  // as the service's own role
  std::string call_log() const { return (folder_ / "calls.jsonl").string(); }
  std::string log(const std::string& name) const { return (folder_ / (name + ".log")).string(); }
  std::string clock(const std::string& name) const { return (folder_ / (name + ".clock")).string(); }

  const FleetOptions options_;
  std::filesystem::path folder_;
  std::unique_ptr<PostgresServer> postgres_;
  bool keep_logs_ = false;
  std::string admin_uri_;
  std::string prefix_;  // of the database names
  std::map<std::string, int> ports_;
  std::map<std::string, Instance> instances_;
  std::map<std::string, std::unique_ptr<Process>> processes_;
  std::map<std::string, int> counters_;
};

}  // namespace flotilla::fleet
