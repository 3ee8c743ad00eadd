#include "registry/registry.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>

#include "async/stop_signal.h"
#include "failpoint/failpoint.h"
#include "registry/endpoint_value.h"
#include "registry/etcd.h"
#include "telemetry/log.h"

namespace flotilla::registry {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(200);
constexpr absl::Duration kLongestPause = absl::Seconds(2);

std::string Prefix(const std::string& service) { return "/flotilla/services/" + service + "/"; }

// Says when etcd goes away and when it is back, once each.
class Outage {
 public:
  void Report(const absl::Status& status, const std::string& key) {
    const bool away = !status.ok();
    if (away == away_ || absl::IsCancelled(status)) return;  // cancelled: by our own end
    away_ = away;
    if (away) {
      telemetry::Warning("etcd does not answer; trying again", {{"key", key}, {"error", status.ToString()}});
    } else {
      telemetry::Info("etcd answers again", {{"key", key}});
    }
  }

 private:
  bool away_ = false;
};

}  // namespace

struct Registration::Impl {
  Impl(Options o, const std::string& service, const std::string& instance, const std::string& address,
       const std::map<std::string, std::string>& metadata)
      : options(std::move(o)), key(Prefix(service) + instance), value(ToJson(address, metadata)), etcd(options.etcd) {
    FLOTILLA_DECLARE_FAILPOINT("etcd.register");
    FLOTILLA_DECLARE_FAILPOINT("etcd.keepalive");
    thread = std::thread([this] { Run(); });
  }

  void Run() {
    absl::Duration pause = kFirstPause;
    for (;;) {
      const absl::Status status = stored ? Renew() : Register();
      outage.Report(status, key);
      const auto now = std::chrono::steady_clock::now();
      if (status.ok()) {
        renewed = now;
        registered.store(true);
        pause = kFirstPause;
        if (stop.WaitFor(options.lease_ttl / 3)) return;
      } else {
        // While etcd is away the key may outlive the outage, so a failed renewal is not yet the end of the lease.
        if (now - renewed > absl::ToChronoNanoseconds(options.lease_ttl)) registered.store(false);
        if (stop.WaitFor(pause)) return;
        pause = std::min(2 * pause, kLongestPause);
      }
    }
  }

  absl::Status Register() {
    if (absl::Status status = FLOTILLA_FAILPOINT("etcd.register.before"); !status.ok()) return status;
    if (lease == 0) {
      const absl::StatusOr<std::int64_t> granted = etcd.Grant(options.lease_ttl);
      if (!granted.ok()) return granted.status();
      lease = *granted;
    }
    // A put that failed may have been done all the same, so its lease is kept: for the next try, and to be revoked.
    absl::Status put = etcd.Put(key, value, lease);
    if (put.ok()) put = FLOTILLA_FAILPOINT("etcd.register.after");
    if (absl::IsNotFound(put)) lease = 0;  // run out meanwhile
    stored = put.ok();
    return put;
  }

  absl::Status Renew() {
    if (absl::Status status = FLOTILLA_FAILPOINT("etcd.keepalive.before"); !status.ok()) return status;
    const absl::StatusOr<absl::Duration> left = etcd.KeepAlive(lease);
    if (!left.ok()) return left.status();
    if (absl::Status status = FLOTILLA_FAILPOINT("etcd.keepalive.after"); !status.ok()) return status;
    if (*left > absl::ZeroDuration()) return absl::OkStatus();
    telemetry::Warning("the lease in etcd was lost; registering again", {{"key", key}});
    registered.store(false);
    lease = 0;
    stored = false;
    return Register();
  }

  const Options options;
  const std::string key;
  const std::string value;
  Etcd etcd;
  // Of the thread, and after its end of Deregister.
  std::int64_t lease = 0;
  bool stored = false;  // the key is there, under the lease
  std::chrono::steady_clock::time_point renewed;
  Outage outage;
  std::atomic<bool> registered = false;
  async::StopSignal stop;
  std::thread thread;  // uses all of the above
};

Registration::Registration(Options options, const std::string& service, const std::string& instance_id,
                           const std::string& address, const std::map<std::string, std::string>& metadata)
    : impl_(std::make_unique<Impl>(std::move(options), service, instance_id, address, metadata)) {}

Registration::~Registration() { Deregister(); }

void Registration::Deregister() {
  if (!impl_->thread.joinable()) return;
  impl_->stop.Set();
  impl_->etcd.Interrupt();
  impl_->thread.join();
  impl_->registered.store(false);
  if (impl_->lease == 0) return;
  impl_->etcd.Resume();
  impl_->etcd.Revoke(impl_->lease).IgnoreError();  // where that fails the lease runs out
}

bool Registration::registered() const { return impl_->registered.load(); }

struct Resolver::Impl {
  Impl(const Options& options, const std::string& service)
      : prefix(Prefix(service)), etcd(options.etcd), thread([this] { Run(); }) {}
  ~Impl() {
    stop.Set();
    etcd.Interrupt();
    thread.join();
  }

  void Run() {
    absl::Duration pause = kFirstPause;
    do {
      const absl::StatusOr<etcdserverpb::RangeResponse> list = etcd.List(prefix);
      outage.Report(list.status(), prefix);
      if (!list.ok()) {
        pause = std::min(2 * pause, kLongestPause);
        continue;
      }
      pause = kFirstPause;
      known.clear();
      for (const auto& kv : list->kvs()) Set(kv.key(), kv.value());
      Report();
      // Ends with the connection, with a compaction of what we wait for, or with the resolver: list again.
      etcd.Watch(prefix, list->header().revision() + 1,
                 [this](const etcdserverpb::WatchResponse& response) {
                   if (response.canceled()) return false;
                   for (const auto& event : response.events()) {
                     if (event.type() == etcdserverpb::Event::PUT) {
                       Set(event.kv().key(), event.kv().value());
                     } else {
                       known.erase(event.kv().key());
                     }
                   }
                   if (response.events_size() > 0) Report();
                   return true;
                 })
          .IgnoreError();
    } while (!stop.WaitFor(pause));
  }

  void Set(const std::string& key, const std::string& value) {
    const std::string address = AddressIn(value);
    if (!address.empty()) known[key] = address;
  }

  void Report() {
    // An empty list is an etcd that lost its data, or a service that is away: the last addresses are the better guess.
    if (known.empty()) return;
    std::set<std::string> unique;
    for (const auto& [key, address] : known) unique.insert(address);
    std::lock_guard lock(mutex);
    addresses.assign(unique.begin(), unique.end());
    if (on_change) on_change(addresses);
  }

  const std::string prefix;
  Etcd etcd;
  std::map<std::string, std::string> known;  // key -> address; of the thread
  Outage outage;                             // of the thread
  std::mutex mutex;                          // guards the rest, and serializes on_change
  std::vector<std::string> addresses;
  std::function<void(std::vector<std::string>)> on_change;
  async::StopSignal stop;
  std::thread thread;  // last: uses all of the above
};

Resolver::Resolver(const Options& options, const std::string& service)
    : impl_(std::make_unique<Impl>(options, service)) {}

Resolver::~Resolver() = default;

void Resolver::Subscribe(std::function<void(std::vector<std::string>)> on_change) {
  std::lock_guard lock(impl_->mutex);
  impl_->on_change = std::move(on_change);
  if (!impl_->addresses.empty()) impl_->on_change(impl_->addresses);
}

}  // namespace flotilla::registry
