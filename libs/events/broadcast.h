// Words between the instances of one service, over core NATS: at most once, not kept, within a millisecond. For hints
// that only make something happen sooner.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "events/log.h"

namespace flotilla::events {

class Broadcast {
 public:
  // `heard` gets what other instances said, on a thread of NATS.
  Broadcast(NatsOptions nats, std::string subject, std::function<void(std::span<const std::string> words)> heard);
  ~Broadcast();  // stops and joins

  // Words hold no space. What is said within 2 ms of a message goes together in the next one; while NATS is away it is
  // dropped. Cheap, any thread.
  void Say(std::string word);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flotilla::events
