#include "notify/api/subscriptions.h"

#include "errors/errors.h"
#include "telemetry/metrics.h"

namespace flotilla::notify {
namespace {

// Another instance may have room at once; so that a crowd does not come back together, not sooner.
constexpr absl::Duration kRetry = absl::Seconds(1);

}  // namespace

Subscriptions::Subscriptions(SubscriptionLimits limits)
    : limits_(limits), gauge_(telemetry::Gauge("flotilla_notify_subscribers", "Open Subscribe streams")) {}

absl::StatusOr<Subscriptions::Place> Subscriptions::Enter(const std::string& user_id) {
  std::lock_guard lock(mutex_);
  const auto it = users_.find(user_id);
  if (all_ >= limits_.all || (it != users_.end() && it->second >= limits_.a_user)) {
    return errors::WithRetryDelay(errors::Make(absl::StatusCode::kResourceExhausted, "TOO_MANY_SUBSCRIBERS",
                                               all_ >= limits_.all ? "this instance has no room for more streams"
                                                                   : "you have too many streams on this instance"),
                                  kRetry);
  }
  ++all_;
  ++users_[user_id];
  gauge_.Increment();
  return Place(this, user_id);
}

void Subscriptions::Leave(const std::string& user_id) {
  std::lock_guard lock(mutex_);
  --all_;
  const auto it = users_.find(user_id);
  if (--it->second == 0) users_.erase(it);
  gauge_.Decrement();
}

}  // namespace flotilla::notify
