#include "rpc/loop.h"

#include <algorithm>
#include <mutex>
#include <queue>

#include "grpcpp/alarm.h"

namespace flotilla::rpc {
namespace {

thread_local Loop* current_loop = nullptr;

constexpr int kEventsATurn = 256;

const gpr_timespec kPast = gpr_time_0(GPR_CLOCK_MONOTONIC);

gpr_timespec InFuture(absl::Duration wait) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(absl::ToInt64Nanoseconds(wait), GPR_TIMESPAN));
}

}  // namespace

struct Loop::Impl {
  struct Timer {
    async::SteadyTime when;
    std::coroutine_handle<> handle;
    bool operator<(const Timer& other) const { return when > other.when; }
  };

  grpc::CompletionQueue* queue;
  std::mutex mutex;
  std::vector<std::coroutine_handle<>> posted;
  std::priority_queue<Timer> timers;
  bool sleeping = false;    // the thread waits in the queue, so a post must wake it
  bool wake_armed = false;  // the alarm is set and has not been reported yet; it can be set again only afterwards
  bool stopping = false;
  bool down = false;  // the queue is shut down; of the loop's thread
  grpc::Alarm wake;
  std::thread thread;

  // With `mutex` held. No alarm once the queue is shut down: gRPC aborts on that. An alarm for the past rings at once,
  // on this thread; one for this moment would be rounded up to the next millisecond, and wait for gRPC's thread for
  // timers.
  void WakeLocked() {
    if (!sleeping || wake_armed || stopping) return;
    wake_armed = true;
    wake.Set(queue, kPast, this);
  }

  // Moves what is to run now into `ready`; answers how long the queue may be waited for.
  absl::Duration TakeReady(std::vector<std::coroutine_handle<>>& ready) {
    std::lock_guard lock(mutex);
    sleeping = false;
    ready.swap(posted);
    if (!timers.empty()) {
      const async::SteadyTime now = async::SteadyNow();
      while (!timers.empty() && (stopping || timers.top().when <= now)) {
        ready.push_back(timers.top().handle);
        timers.pop();
      }
    }
    if (!ready.empty()) return absl::ZeroDuration();
    sleeping = true;
    // A stopping loop cannot be woken by an alarm, so it looks by itself.
    if (stopping) return absl::Milliseconds(2);
    return timers.empty() ? absl::InfiniteDuration() : async::Until(timers.top().when);
  }

  bool Stopping() {
    std::lock_guard lock(mutex);
    return stopping;
  }

  void Run() {
    std::vector<std::coroutine_handle<>> ready;
    for (;;) {
      ready.clear();
      const absl::Duration patience = TakeReady(ready);
      // On this thread, so that a coroutine that looks at down() and then starts an operation cannot be overtaken.
      if (!down && Stopping()) {
        down = true;
        queue->Shutdown();
      }
      for (auto handle : ready) handle.resume();
      // After running something only look what events the queue has, so that neither side starves the other. Many at
      // a time: new calls are events too, and under overload hundreds of coroutines run in each turn. With one event a
      // turn, calls would grow old before anybody can turn them away.
      int most = ready.empty() ? 1 : kEventsATurn;
      while (most-- > 0) {
        void* tag = nullptr;
        bool ok = false;
        const auto status =
            patience == absl::InfiniteDuration()
                ? (queue->Next(&tag, &ok) ? grpc::CompletionQueue::GOT_EVENT : grpc::CompletionQueue::SHUTDOWN)
                : queue->AsyncNext(&tag, &ok, patience > absl::ZeroDuration() ? InFuture(patience) : kPast);
        if (status == grpc::CompletionQueue::SHUTDOWN) return;
        if (status == grpc::CompletionQueue::TIMEOUT) break;
        Handle(tag, ok);
      }
    }
  }

  void Handle(void* tag, bool ok) {
    if (tag == this) {
      std::lock_guard lock(mutex);
      wake_armed = false;
      return;
    }
    auto* operation = static_cast<Operation*>(tag);
    if (operation->callback_ != nullptr) {
      operation->callback_(operation->argument_, ok);
    } else {
      operation->ok_ = ok;
      operation->handle_.resume();
    }
  }
};

Loop::Loop(std::unique_ptr<grpc::CompletionQueue> queue) : queue_(std::move(queue)), impl_(std::make_unique<Impl>()) {
  impl_->queue = queue_.get();
  impl_->thread = std::thread([this] {
    SetCurrent(this);
    current_loop = this;
    impl_->Run();
  });
}

Loop::~Loop() { Stop(); }

void Loop::Post(std::coroutine_handle<> handle) { PostMany({&handle, 1}); }

void Loop::PostMany(std::span<const std::coroutine_handle<>> handles) {
  std::lock_guard lock(impl_->mutex);
  impl_->posted.insert(impl_->posted.end(), handles.begin(), handles.end());
  impl_->WakeLocked();
}

void Loop::PostAt(async::SteadyTime when, std::coroutine_handle<> handle) {
  std::lock_guard lock(impl_->mutex);
  const bool first = impl_->timers.empty() || when < impl_->timers.top().when;
  impl_->timers.push({when, handle});
  if (first) impl_->WakeLocked();
}

void Loop::Stop() {
  if (!impl_->thread.joinable()) return;
  {
    std::lock_guard lock(impl_->mutex);
    impl_->WakeLocked();
    impl_->stopping = true;
  }
  impl_->thread.join();
}

bool Loop::down() const { return impl_->down; }

Loop* Loop::Current() noexcept { return current_loop; }

}  // namespace flotilla::rpc
