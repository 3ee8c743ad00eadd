// The small ones: trace contexts of clients, what etcd holds of an instance, rates by method in a flag.
#include "fuzz/fuzz.h"
#include "guard/rate_limits.h"
#include "registry/endpoint_value.h"
#include "telemetry/trace.h"

namespace flotilla {
namespace {

void Trace(const std::string& text) {
  const std::string child = telemetry::ChildTraceparent(text, true);
  fuzz::Require(child.size() == 55 && telemetry::TraceId(child).size() == 32, "there is always a trace");
  fuzz::Require(telemetry::TraceId(telemetry::ChildTraceparent(child, false)) == telemetry::TraceId(child),
                "it goes on");
}

void Endpoint(const std::string& text) {
  const std::string address = registry::AddressIn(text);
  fuzz::Require(registry::AddressIn(registry::ToJson(address, {{"a", "b"}})) == address, "what is written is read");
}

void Rates(const std::string& text) {
  const auto limits = guard::RateLimits::Parse(text);
  if (!limits.ok()) {
    fuzz::Require(absl::IsInvalidArgument(limits.status()), "a refusal blames the input");
    return;
  }
  const auto rate = limits->Of("flotilla.order.v1.OrderService/CreateOrder");
  if (!rate.has_value()) return;
  guard::TokenBuckets buckets(4);
  const async::SteadyTime now = async::SteadyNow();
  fuzz::Require(buckets.Take(1, *rate, now) == absl::ZeroDuration(), "whoever has not called yet may");
  fuzz::Require(buckets.Take(1, *rate, now) < absl::Hours(24), "nobody is locked out");
}

void Run(std::string_view input) {
  const int choice = fuzz::TakeChoice(input, 3);
  const std::string text(input);
  return choice == 0 ? Trace(text) : choice == 1 ? Endpoint(text) : Rates(text);
}

}  // namespace
}  // namespace flotilla

FLOTILLA_FUZZ(flotilla::Run)
