#include "identity/audit.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "async/steady_time.h"
#include "errors/errors.h"
#include "identity/policy.h"
#include "identity/tls.h"
#include "telemetry/log.h"

namespace flotilla::identity {
namespace {

constexpr guard::Rate kLines{.per_second = 10, .burst = 50};

// Who the certificate or the token says it is; the token's user is not written.
std::string Caller(const rpc::Call& call) {
  const std::string service = PeerService(*call.context->auth_context());
  if (!service.empty()) return "service " + service;
  return call.user_id.empty() ? "unknown" : "a user";
}

}  // namespace

prometheus::Counter& CallsRefused(const std::string& reason) {
  return telemetry::Counter("flotilla_calls_refused_total", "Calls refused for who their caller is",
                            {{"reason", reason}});
}

void Audit::OnEnd(const rpc::Call& call, const absl::Status& status) {
  if (absl::IsUnauthenticated(status) || absl::IsPermissionDenied(status)) return Refused(call, status);
  if (!call.for_any_user || call.from_service) return;
  const Access* access = FindAccess({call.method.data(), call.method.size()});
  if (access == nullptr || access->users != Users::kOperators) return;
  telemetry::Log(telemetry::Level::kInfo, "audit: operator's act",
                 {{"method", std::string(call.method)},
                  {"operator", call.user_id},
                  {"result", absl::StatusCodeToString(status.code())}},
                 call.traceparent);
}

void Audit::Refused(const rpc::Call& call, const absl::Status& status) {
  const std::string reason = errors::Reason(status);
  CallsRefused(reason).Increment();
  if (lines_.Take(0, kLines, async::SteadyNow()) > absl::ZeroDuration()) {
    suppressed_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  telemetry::Log(telemetry::Level::kWarning, "audit: refused",
                 {{"method", std::string(call.method)},
                  {"reason", reason},
                  {"caller", Caller(call)},
                  {"peer", call.context->peer()},
                  {"suppressed", absl::StrCat(suppressed_.exchange(0, std::memory_order_relaxed))}},
                 call.traceparent);
}

}  // namespace flotilla::identity
