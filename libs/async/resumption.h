// Coroutines to resume elsewhere, gathered so that each executor gets one wake-up.
#pragma once

#include <algorithm>
#include <coroutine>
#include <utility>
#include <vector>

#include "async/task.h"

namespace flotilla::async {

// Resumes at its end what was added: declare it before the lock under which it is filled. Few executors, many waiters.
class Resumption {
 public:
  Resumption() = default;
  Resumption(const Resumption&) = delete;
  Resumption& operator=(const Resumption&) = delete;
  ~Resumption() {
    for (auto& [executor, handles] : groups_) executor->PostMany(handles);
  }
  void Add(Executor* executor, std::coroutine_handle<> handle) {
    auto it = std::find_if(groups_.begin(), groups_.end(), [&](auto& group) { return group.first == executor; });
    if (it == groups_.end()) it = groups_.insert(it, {executor, {}});
    it->second.push_back(handle);
  }

 private:
  std::vector<std::pair<Executor*, std::vector<std::coroutine_handle<>>>> groups_;
};

}  // namespace flotilla::async
