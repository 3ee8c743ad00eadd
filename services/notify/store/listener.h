// Hears from the database whose lists have grown, whichever instance wrote them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "postgres/session.h"

namespace flotilla::notify {

// One connection and thread, which both callbacks run on. Nothing is heard while the connection is away; `on_gap` is
// called once it listens (again), as anything may have been missed.
class Listener {
 public:
  Listener(postgres::Options options, std::function<void(const std::vector<std::string>& users)> on_news,
           std::function<void()> on_gap);
  ~Listener();  // stops and joins

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flotilla::notify
