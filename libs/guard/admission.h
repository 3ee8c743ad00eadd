// Turns calls away before they cost anything: users that call too often, methods that are called too often, and more
// calls at once than are answered in time. RESOURCE_EXHAUSTED with RetryInfo, and the reason USER_RATE_LIMITED,
// METHOD_RATE_LIMITED or OVERLOADED.
//
// Comes after the interceptor that knows the caller. Streams are counted by the rates, not by the number at once;
// health and reflection by neither. What a service calls to go on with an order that was accepted is never turned away:
// new orders are, and so the others end.
//
// Metrics: flotilla_admission_refused_total{method,reason}, flotilla_admission_limit{method},
// flotilla_admission_running{method}.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "guard/adaptive_limit.h"
#include "guard/rate_limits.h"
#include "guard/token_buckets.h"
#include "rpc/server.h"

namespace flotilla::guard {

struct AdmissionOptions {
  RateLimits user_limits;    // of each user in each method
  RateLimits method_limits;  // of each method, whoever calls
  AdaptiveLimitOptions concurrency;
  bool adaptive = true;
};

class Admission final : public rpc::Interceptor {
 public:
  explicit Admission(AdmissionOptions options);
  ~Admission() override;
  absl::Status OnStart(rpc::Call& call) override;
  void OnEnd(const rpc::Call& call, const absl::Status& status) override;

 private:
  struct Method;
  Method& Find(std::string_view method);

  const AdmissionOptions options_;
  const std::uint64_t number_;  // of this object in the process
  TokenBuckets buckets_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Method>> methods_;  // under the mutex
};

}  // namespace flotilla::guard
