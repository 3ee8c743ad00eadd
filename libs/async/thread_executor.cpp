#include "async/thread_executor.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <queue>
#include <thread>

namespace flotilla::async {

struct ThreadExecutor::State {
  struct Timer {
    SteadyTime when;
    std::coroutine_handle<> handle;
    bool operator<(const Timer& other) const { return when > other.when; }
  };
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::coroutine_handle<>> ready;
  std::priority_queue<Timer> timers;
  bool stopping = false;
  std::thread thread;

  void Run() {
    std::unique_lock lock(mutex);
    for (;;) {
      while (!timers.empty() && timers.top().when <= SteadyNow()) {
        ready.push_back(timers.top().handle);
        timers.pop();
      }
      if (!ready.empty()) {
        const auto handle = ready.front();
        ready.pop_front();
        lock.unlock();
        handle.resume();
        lock.lock();
        continue;
      }
      if (stopping) return;
      if (timers.empty()) {
        wake.wait(lock);
      } else {
        wake.wait_until(lock, timers.top().when);
      }
    }
  }
};

ThreadExecutor::ThreadExecutor() : state_(std::make_unique<State>()) {
  state_->thread = std::thread([this] {
    SetCurrent(this);
    state_->Run();
  });
}

ThreadExecutor::~ThreadExecutor() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_all();
  state_->thread.join();
}

void ThreadExecutor::Post(std::coroutine_handle<> handle) { PostMany({&handle, 1}); }

void ThreadExecutor::PostMany(std::span<const std::coroutine_handle<>> handles) {
  // Notified under the lock: the executor may be destroyed as soon as the last coroutine has run.
  std::lock_guard lock(state_->mutex);
  state_->ready.insert(state_->ready.end(), handles.begin(), handles.end());
  state_->wake.notify_one();
}

void ThreadExecutor::PostAt(SteadyTime when, std::coroutine_handle<> handle) {
  std::lock_guard lock(state_->mutex);
  state_->timers.push({when, handle});
  state_->wake.notify_one();
}

}  // namespace flotilla::async
