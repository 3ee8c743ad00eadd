// Wakes this process's subscribers when their users' lists have grown.
#pragma once

#include <string>
#include <vector>

#include "async/hub.h"

namespace flotilla::notify {

// The list has grown: what is in it is read from the database.
struct Grown {};

inline void KeepOne(std::vector<Grown>& held, const Grown& next) {
  if (held.empty()) held.push_back(next);
}

// Keys are users.
class Hub : public async::Hub<Grown, KeepOne> {
 public:
  // From any thread, after the news is durable.
  void Wake(const std::vector<std::string>& users) { Publish(users, {}); }
  void WakeAll() { PublishAll({}); }
};

}  // namespace flotilla::notify
