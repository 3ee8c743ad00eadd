// The fleet's event loops: one thread, one gRPC completion queue each. The only place that touches tags and queues.
#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "async/task.h"
#include "grpcpp/grpcpp.h"

namespace flotilla::rpc {

// co_await an operation that a completion queue reports:
//   Operation op; bool ok = co_await op.Run([&](void* tag) { stream.Read(&message, tag); });
// One outstanding use at a time. Resumes on the loop's thread. `ok` is gRPC's meaning for that operation.
class Operation {
 public:
  template <class Start>
  auto Run(Start start) {
    struct Awaiter {
      Operation& op;
      Start start;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> h) {
        op.handle_ = h;
        op.callback_ = nullptr;
        Start local = std::move(start);  // the awaiter may be gone before start() returns
        local(static_cast<void*>(&op));
      }
      bool await_resume() const noexcept { return op.ok_; }
    };
    return Awaiter{*this, std::move(start)};
  }

  // Without a coroutine: `callback(argument, ok)` runs on the loop's thread when the returned tag is reported.
  void* OnReport(void (*callback)(void* argument, bool ok), void* argument) {
    callback_ = callback;
    argument_ = argument;
    return this;
  }

 private:
  friend class Loop;
  std::coroutine_handle<> handle_;
  void (*callback_)(void*, bool) = nullptr;
  void* argument_ = nullptr;
  bool ok_ = false;
};

// An executor around a completion queue. Its thread starts with the object and ends in Stop().
class Loop final : public async::Executor {
 public:
  // A server's loops take their queue from grpc::ServerBuilder::AddCompletionQueue; others own a plain one.
  explicit Loop(std::unique_ptr<grpc::CompletionQueue> queue);
  ~Loop() override;  // Stop()

  void Post(std::coroutine_handle<> handle) override;
  void PostMany(std::span<const std::coroutine_handle<>> handles) override;
  void PostAt(async::SteadyTime when, std::coroutine_handle<> handle) override;

  grpc::CompletionQueue* queue() { return queue_.get(); }

  // Shuts the queue down, drains it, joins. Sleeping coroutines are resumed at once; none may start an operation any
  // more.
  void Stop();

  // No operation may be started any more. Only on the loop's thread.
  bool down() const;

  // The loop whose thread this is, or null.
  static Loop* Current() noexcept;

 private:
  struct Impl;
  std::unique_ptr<grpc::CompletionQueue> queue_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flotilla::rpc
