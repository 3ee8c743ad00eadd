// How many streams there are, and how many there may be.
#pragma once

#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "absl/status/statusor.h"
#include "prometheus/gauge.h"

namespace flotilla::notify {

struct SubscriptionLimits {
  int all = 10'000;  // streams of this instance
  int a_user = 20;   // streams of one user on this instance
};

class Subscriptions {
 public:
  explicit Subscriptions(SubscriptionLimits limits);

  // Holds a place until it dies.
  class Place {
   public:
    Place(Place&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)), user_id_(std::move(other.user_id_)) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (owner_ != nullptr) owner_->Leave(user_id_);
    }

   private:
    friend class Subscriptions;
    Place(Subscriptions* owner, std::string user_id) : owner_(owner), user_id_(std::move(user_id)) {}
    Subscriptions* owner_;
    std::string user_id_;
  };

  // RESOURCE_EXHAUSTED (TOO_MANY_SUBSCRIBERS) with RetryInfo. Any thread.
  absl::StatusOr<Place> Enter(const std::string& user_id);

 private:
  void Leave(const std::string& user_id);

  const SubscriptionLimits limits_;
  prometheus::Gauge& gauge_;
  std::mutex mutex_;
  int all_ = 0;
  std::unordered_map<std::string, int> users_;
};

}  // namespace flotilla::notify
