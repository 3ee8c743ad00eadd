// Ends a thread's loop: its owner sets the signal, and the thread waits on it instead of sleeping.
#pragma once

#include <condition_variable>
#include <mutex>

#include "absl/time/time.h"

namespace flotilla::async {

// Every method from any thread.
class StopSignal {
 public:
  void Set() {
    {
      std::lock_guard lock(mutex_);
      set_ = true;
    }
    wake_.notify_all();
  }
  bool IsSet() const {
    std::lock_guard lock(mutex_);
    return set_;
  }
  // True once set, else false after `duration`.
  bool WaitFor(absl::Duration duration) {
    std::unique_lock lock(mutex_);
    return wake_.wait_for(lock, absl::ToChronoNanoseconds(duration), [this] { return set_; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool set_ = false;
};

}  // namespace flotilla::async
