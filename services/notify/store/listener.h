// Hears from the database whose lists have grown, whichever instance wrote them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "notify/store/origin.h"
#include "postgres/session.h"

namespace flotilla::notify {

// A user's list has grown up to this number.
struct Told {
  std::string user_id;
  std::int64_t through = 0;
};

// One connection and thread, which both callbacks run on. Nothing is heard while the connection is away; `on_gap` is
// called once it listens (again), as anything may have been missed. What `own` has told is left out.
class Listener {
 public:
  Listener(postgres::Options options, std::function<void(const std::vector<Told>& told)> on_news,
           std::function<void()> on_gap, const Origin& own);
  ~Listener();  // stops and joins

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flotilla::notify
