#include "saga/pending.h"

#include <algorithm>

#include "errors/errors.h"

namespace flotilla::saga {

void PendingCalls::Add(PendingCall& call) {
  if (executor_ == nullptr) executor_ = async::Executor::Current();  // a saga keeps to one
  call.next = std::exchange(first_, &call);
  // The release makes the executor seen to whoever sees the deadline.
  if (call.due < due_.load(std::memory_order_relaxed)) due_.store(call.due, std::memory_order_release);
}

std::coroutine_handle<> PendingCalls::End(PendingCall& call, absl::Status status) {
  Remove(call);
  call.status = std::move(status);
  return call.saga;
}

int PendingCalls::GiveUpOverdue() {
  const async::SteadyTime now = async::SteadyNow();
  int count = 0;
  for (PendingCall *call = first_, *next; call != nullptr; call = next) {
    next = call->next;
    if (call->due > now) continue;
    Remove(*call);
    *call->link = nullptr;
    call->given_up = true;
    call->status = errors::Make(absl::StatusCode::kDeadlineExceeded, "STEP_OVERDUE",
                                "the call did not end by its deadline, its outcome is not known");
    executor_->Post(call->saga);
    ++count;
  }
  SetDue();
  return count;
}

async::Executor* PendingCalls::TakeOverdue(async::SteadyTime now) {
  async::SteadyTime due = due_.load(std::memory_order_acquire);
  if (due > now || !due_.compare_exchange_strong(due, async::kNever)) return nullptr;
  return executor_;
}

void PendingCalls::Remove(PendingCall& call) {
  PendingCall** link = &first_;
  while (*link != &call) link = &(*link)->next;
  *link = call.next;
  SetDue();
}

void PendingCalls::SetDue() {
  async::SteadyTime due = async::kNever;
  for (const PendingCall* call = first_; call != nullptr; call = call->next) due = std::min(due, call->due);
  due_.store(due, std::memory_order_release);
}

}  // namespace flotilla::saga
