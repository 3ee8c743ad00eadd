// Wakes this process's subscribers when their users' lists have grown.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "async/hub.h"
#include "notify/domain/notification.h"
#include "notify/store/listener.h"

namespace flotilla::notify {

// A list has grown up to `through`.
struct Grown {
  std::int64_t through = 0;
  std::shared_ptr<const Notification> notification = {};  // the one with this number; null: it is in the database
};

// A reader that is slow has so many kept for it; then it reads the database.
inline constexpr std::size_t kMaxHeld = 32;

inline void Keep(std::vector<Grown>& held, const Grown& next) {
  if (!held.empty() && next.through <= held.back().through) return;
  if (held.size() < kMaxHeld) {
    held.push_back(next);
  } else {
    held.assign(1, {.through = next.through});
  }
}

// Keys are users.
class Hub : public async::Hub<Grown, Keep> {
 public:
  // From any thread, after the news is durable. What this process stored its subscribers need not read.
  void Deliver(std::vector<Notification> stored) {
    std::vector<std::pair<std::string, Grown>> all;
    all.reserve(stored.size());
    for (Notification& each : stored) {
      const auto shared = std::make_shared<const Notification>(std::move(each));
      all.push_back({shared->user_id, {.through = shared->sequence, .notification = shared}});
    }
    Publish(all);
  }
  void Tell(const std::vector<Told>& told) {
    std::vector<std::pair<std::string, Grown>> all;
    all.reserve(told.size());
    for (const Told& each : told) all.push_back({each.user_id, {.through = each.through}});
    Publish(all);
  }
  void WakeAll() { PublishAll({.through = std::numeric_limits<std::int64_t>::max()}); }
};

}  // namespace flotilla::notify
