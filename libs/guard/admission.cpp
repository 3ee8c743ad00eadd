#include "guard/admission.h"

#include <algorithm>
#include <array>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/hash/hash.h"
#include "errors/errors.h"
#include "telemetry/metrics.h"

namespace flotilla::guard {
namespace {

// Prepared, for an overloaded process must spend little on those whom it turns away; several, so that these do not come
// back in step.
std::array<absl::Status, 8> Overloaded() {
  std::array<absl::Status, 8> all;
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i] = errors::WithRetryDelay(errors::Make(absl::StatusCode::kResourceExhausted, "OVERLOADED",
                                                 "more calls are running than can be answered in time"),
                                    absl::Milliseconds(200 + 100 * i));
  }
  return all;
}

absl::Status TooOften(const char* reason, const char* message, absl::Duration wait) {
  return errors::WithRetryDelay(errors::Make(absl::StatusCode::kResourceExhausted, reason, message),
                                std::max(wait, absl::Milliseconds(1)));
}

prometheus::Counter& Refused(std::string_view method, const char* reason) {
  return telemetry::Counter("flotilla_admission_refused_total", "Calls turned away, by reason",
                            {{"method", std::string(method)}, {"reason", reason}});
}

// Orders begin with these; whatever else services call of one another goes on with what was accepted.
bool IsNewWork(std::string_view method) {
  return method.ends_with("/Reserve") || method.ends_with("/BatchReserve") || method.ends_with("/BatchCreateOrders");
}

}  // namespace

struct Admission::Method {
  Method(std::string_view name, const AdmissionOptions& options, std::uint64_t admission)
      : exempt(name.starts_with("grpc.")),
        new_work(IsNewWork(name)),
        key(absl::HashOf(admission, name)),
        user_rate(options.user_limits.Of({name.data(), name.size()})),
        rate(options.method_limits.Of({name.data(), name.size()})),
        concurrency(options.concurrency),
        by_user(Refused(name, "user_rate")),
        by_rate(Refused(name, "method_rate")),
        by_load(Refused(name, "overloaded")),
        limit(telemetry::Gauge("flotilla_admission_limit", "Calls that may run at once",
                               {{"method", std::string(name)}})),
        running(telemetry::Gauge("flotilla_admission_running", "Calls that ran when the limit was last changed",
                                 {{"method", std::string(name)}})) {
    limit.Set(concurrency.limit());
  }

  const bool exempt, new_work;
  const std::uint64_t key;
  const std::optional<Rate> user_rate, rate;
  AdaptiveLimit concurrency;
  prometheus::Counter &by_user, &by_rate, &by_load;
  prometheus::Gauge &limit, &running;
};

Admission::Admission(AdmissionOptions options)
    : options_(std::move(options)), number_([] {
        static std::atomic<std::uint64_t> last = 0;
        return ++last;
      }()) {}

Admission::~Admission() = default;

// Looked up without a lock: a method's name is one string for the life of the server, and no two of these objects have
// the same number.
Admission::Method& Admission::Find(std::string_view method) {
  thread_local absl::flat_hash_map<std::pair<std::uint64_t, const char*>, Method*> known;
  Method*& entry = known[{number_, method.data()}];
  if (entry == nullptr) {
    std::lock_guard lock(mutex_);
    std::unique_ptr<Method>& state = methods_[std::string(method)];
    if (state == nullptr) state = std::make_unique<Method>(method, options_, number_);
    entry = state.get();
  }
  return *entry;
}

absl::Status Admission::OnStart(rpc::Call& call) {
  Method& method = Find(call.method);
  if (method.exempt || (call.from_service && !method.new_work)) return absl::OkStatus();
  if (method.user_rate.has_value() && !call.user_id.empty()) {
    const std::uint64_t key = absl::HashOf(method.key, call.user_id);
    const absl::Duration wait = buckets_.Take(key, *method.user_rate, call.begun);
    if (wait > absl::ZeroDuration()) {
      method.by_user.Increment();
      return TooOften("USER_RATE_LIMITED", "this user calls the method too often", wait);
    }
  }
  if (method.rate.has_value()) {
    const absl::Duration wait = buckets_.Take(method.key, *method.rate, call.begun);
    if (wait > absl::ZeroDuration()) {
      method.by_rate.Increment();
      return TooOften("METHOD_RATE_LIMITED", "the method is called too often", wait);
    }
  }
  if (!options_.adaptive || call.stream) return absl::OkStatus();
  if (!method.concurrency.TryAcquire()) {
    static const auto& overloaded = *new auto(Overloaded());
    thread_local std::minstd_rand random(std::random_device{}());
    method.by_load.Increment();
    return overloaded[random() % overloaded.size()];
  }
  call.admission = &method;
  return absl::OkStatus();
}

void Admission::OnEnd(const rpc::Call& call, const absl::Status&) {
  if (call.admission == nullptr) return;
  Method& method = *static_cast<Method*>(call.admission);
  if (!method.concurrency.Release(call.begun, async::SteadyNow())) return;
  method.limit.Set(method.concurrency.limit());
  method.running.Set(method.concurrency.running());
}

}  // namespace flotilla::guard
