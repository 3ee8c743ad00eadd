// The audit log: every call that was refused for who its caller is or is not, and every operators' method that was
// called by one.
//
//   {"message":"audit:
//   refused","method":"...","reason":"INVALID_TOKEN","caller":"unknown","peer":"ipv4:10.0.0.7:41022"}
//   {"message":"audit: operator's act","method":"...","operator":"olga","result":"OK"}
//
// An operator is named, for that is the purpose; users are not, nor is anything of a token. Refusals are cheap to
// provoke, so at most ten a second are written, the next one says how many were left out ("suppressed"), and
// flotilla_calls_refused_total{reason} counts all.
#pragma once

#include <atomic>
#include <string>

#include "guard/token_buckets.h"
#include "rpc/server.h"
#include "telemetry/metrics.h"

namespace flotilla::identity {

// flotilla_calls_refused_total.
prometheus::Counter& CallsRefused(const std::string& reason);

class Audit final : public rpc::Interceptor {
 public:
  absl::Status OnStart(rpc::Call&) override { return absl::OkStatus(); }
  void OnEnd(const rpc::Call& call, const absl::Status& status) override;

 private:
  void Refused(const rpc::Call& call, const absl::Status& status);

  guard::TokenBuckets lines_{1};
  std::atomic<int> suppressed_ = 0;
};

}  // namespace flotilla::identity
