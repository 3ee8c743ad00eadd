#include "saga/retry.h"

#include <algorithm>
#include <random>

namespace flotilla::saga {

bool Retryable(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kInternal:
    // Faults of a deployment: an older build, a certificate, a policy. No business refuses so.
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return true;
    default:
      return false;
  }
}

absl::Duration LongestWait(const RetryPolicy& policy, int attempt) {
  absl::Duration delay = policy.initial;
  for (int i = 1; i < attempt && delay < policy.max; ++i) delay *= policy.factor;
  return std::min(delay, policy.max);
}

absl::Duration Backoff(const RetryPolicy& policy, int attempt) {
  thread_local std::minstd_rand random(std::random_device{}());
  return LongestWait(policy, attempt) * std::uniform_real_distribution<double>(0, 1)(random);
}

}  // namespace flotilla::saga
