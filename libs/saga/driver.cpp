#include "saga/driver.h"

#include <algorithm>
#include <bit>
#include <span>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "batch/spread.h"
#include "errors/errors.h"
#include "failpoint/failpoint.h"
#include "saga/definition.h"
#include "telemetry/log.h"

namespace flotilla::saga {
namespace {

constexpr char kLostReason[] = "SAGA_LOST";
constexpr char kFinish[] = "finish";
constexpr char kTakeOver[] = "take over";
// Longer than a statement may take: a commit that is given up has to be found out about.
constexpr absl::Duration kCommitTimeout = absl::Seconds(10);
// The called service's own word comes first.
constexpr absl::Duration kOverdue = absl::Milliseconds(100);
constexpr absl::Duration kHoldPause = absl::Milliseconds(50);  // between looks at a lease that has ended
constexpr std::size_t kMaxErrorText = 1000;

// ASCII, so that the database takes it whatever a peer has said: what cannot be written would keep a saga from turning
// back or from being parked.
std::string Written(std::string_view text) {
  return absl::CEscape({text.data(), text.size()}).substr(0, kMaxErrorText);
}

std::string ReasonOf(const absl::Status& status) {
  const std::string reason = errors::Reason(status);
  return reason.empty() ? absl::StatusCodeToString(status.code()) : reason;
}

std::string Text(const absl::Status& status) { return Written(absl::StrCat(ReasonOf(status), ": ", status.message())); }

absl::Status TooLate(const absl::Status& last) {
  return errors::Make(absl::StatusCode::kDeadlineExceeded, "SAGA_DEADLINE",
                      absl::StrCat("the saga's deadline has passed; last error: ", last.message()));
}

absl::Status TakenOverTooOften() {
  return errors::Make(absl::StatusCode::kResourceExhausted, "SAGA_TAKEN_OVER_TOO_OFTEN",
                      "the saga has lost too many owners: its steps may be what ends their processes");
}

// Context::results are shared by steps that run one after the other; those that run together have their own.
void Merge(std::span<const std::shared_ptr<Context>> contexts, Context& into) {
  for (const auto& context : contexts) {
    for (const auto& [name, value] : context->results) into.results[name] = value;
  }
}

// Of every step, way back, decision and finish.
absl::Status Failpoint([[maybe_unused]] const Flight& flight, [[maybe_unused]] const std::string& step,
                       [[maybe_unused]] const char* when) {
  return FLOTILLA_FAILPOINT(absl::StrCat(FailpointOf(flight.record.type, step), ".", when));
}

// One attempt of a step. It may outlive the saga, which then has set `pending` to null.
DetachedCall Call(const Action& action, FlightPtr flight, std::shared_ptr<Context> context, std::string name,
                  PendingCall* pending) {
  pending->link = &pending;
  tracing::Span span(name, tracing::Kind::kInternal, flight->span.scope());
  co_await async::SetScope(span.scope());
  absl::Status status = Failpoint(*flight, name, "before");
  if (status.ok()) {
    try {
      status = co_await action(*context);
    } catch (const std::exception& e) {
      status = absl::InternalError(absl::StrCat("exception in a saga's step: ", e.what()));
    } catch (...) {
      status = absl::InternalError("exception of an unknown type in a saga's step");
    }
  }
  if (status.ok()) status = Failpoint(*flight, name, "after");
  co_await async::SetScope(nullptr);
  span.End(status);
  if (pending == nullptr) co_return std::noop_coroutine();
  co_return flight->calls.End(*pending, std::move(status));
}

// co_await it: begins the call, and resumes at its end or once it is overdue.
struct AwaitCall {
  PendingCalls& calls;
  PendingCall& pending;
  DetachedCall call;
  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> saga) const {
    pending.saga = saga;
    calls.Add(pending);
    return call.handle;
  }
  void await_resume() const noexcept {}
};

}  // namespace

absl::Status Lost() { return errors::Make(absl::StatusCode::kAborted, kLostReason, "another owner has the saga"); }

Driver::Driver(const postgres::Options& postgres, std::string owner, const Lease& lease)
    : owner_(std::move(owner)),
      lease_(lease),
      decisions_({.name = "saga decisions"},
                 [postgres](int) {
                   auto store = std::make_shared<Store>(postgres::Named(postgres, "saga decisions"));
                   return [store](const std::vector<Decision>& asked) {
                     return batch::Spread(store->Decide(asked), asked.size());
                   };
                 }),
      history_({.name = "saga history", .max_queue = 4096}, [this, postgres](int) {
        auto store = std::make_shared<Store>(postgres::Named(postgres, "saga history"));
        return [this, store](const std::vector<Remark>& remarks) {
          const absl::Status written = store->WriteHistory(owner_, remarks);
          return std::vector<absl::StatusOr<bool>>(remarks.size(), written.ok() ? absl::StatusOr<bool>(true) : written);
        };
      }) {}

async::Task<Outcome> Driver::Drive(FlightPtr flight) {
  flight->context.record = flight->record;
  ContextPtr context(flight, &flight->context);
  Outcome outcome;
  if (flight->exhausted) {
    outcome = co_await Park(*flight->definition, *context, {Result::Kind::kExhausted, kTakeOver, TakenOverTooOften()});
  } else if (context->record.direction == Direction::kForward) {
    outcome = co_await Forward(flight, context);
  } else {
    outcome = co_await Backward(flight->definition->steps.size(), flight, context);
  }
  const bool ended = outcome == Outcome::kCompleted || outcome == Outcome::kCompensated;
  if (ended && flight->troubled) {
    const auto kind = outcome == Outcome::kCompleted ? HistoryKind::kCompleted : HistoryKind::kCompensated;
    async::Start(Remember({.kind = kind, .type = flight->record.type, .id = flight->record.id}));
  }
  co_return outcome;
}

async::Task<Outcome> Driver::Forward(const FlightPtr& flight, ContextPtr& context) {
  const Definition& definition = *flight->definition;
  bool pivoted = false;
  for (std::size_t first = 0, last; first < definition.steps.size(); first = last) {
    last = GroupEnd(definition, first);
    Result result = co_await Group(first, last, !pivoted, flight, context);
    if (result.kind == Result::Kind::kLost) co_return Outcome::kLost;
    if (result.kind == Result::Kind::kExhausted) co_return co_await Park(definition, *context, std::move(result));
    if (result.kind == Result::Kind::kRefused) {
      context->record.direction = Direction::kCompensating;
      context->record.reason = Written(ReasonOf(result.status));
      // Durable before the first compensation runs: a recovery must not go forward again.
      result = co_await DecideToCompensate(flight, context);
      if (result.kind == Result::Kind::kExhausted) co_return co_await Park(definition, *context, std::move(result));
      if (result.kind != Result::Kind::kDone) co_return Outcome::kLost;
      // The refused steps are undone too: an earlier attempt may have taken effect unseen.
      co_return co_await Backward(last, flight, context);
    }
    pivoted = pivoted || definition.steps[first].pivot;
  }
  co_return co_await Finish(Outcome::kCompleted, flight, context);
}

async::Task<Outcome> Driver::Backward(std::size_t undo, const FlightPtr& flight, ContextPtr& context) {
  for (std::size_t last = undo, first; last > 0; last = first) {
    first = GroupBegin(*flight->definition, last);
    Result result = co_await Group(first, last, false, flight, context);
    if (result.kind == Result::Kind::kLost) co_return Outcome::kLost;
    if (result.kind != Result::Kind::kDone) {
      co_return co_await Park(*flight->definition, *context, std::move(result));
    }
  }
  co_return co_await Finish(Outcome::kCompensated, flight, context);
}

async::Task<Outcome> Driver::Finish(Outcome outcome, const FlightPtr& flight, ContextPtr& context) {
  const Definition& definition = *flight->definition;
  const Action& action = outcome == Outcome::kCompleted ? definition.finish_forward : definition.finish_compensated;
  Result result = co_await Attempt({.name = kFinish,
                                    .action = action,
                                    .timeout = kCommitTimeout,
                                    .retry = {},
                                    .may_refuse = false,
                                    .give_up = async::kNever},
                                   flight, context);
  if (result.kind == Result::Kind::kDone) co_return outcome;
  if (result.kind == Result::Kind::kLost) co_return Outcome::kLost;
  co_return co_await Park(definition, *context, std::move(result));
}

// Runs steps [first, last) in the saga's direction, together.
async::Task<Driver::Result> Driver::Group(std::size_t first, std::size_t last, bool may_refuse, const FlightPtr& flight,
                                          ContextPtr& context) {
  const Definition& definition = *flight->definition;
  const bool forward = context->record.direction == Direction::kForward;
  // One that was taken over may have tried its pivot: then nobody knows whether that has taken effect.
  const bool perhaps_pivoted =
      flight->crowd != nullptr && std::ranges::any_of(definition.steps, [](const Step& step) { return step.pivot; });
  const auto try_of = [&](const Step& step) {
    return Try{.name = forward ? step.name : "undo " + step.name,
               .action = forward ? step.action : step.compensation,
               .timeout = step.timeout,
               .retry = step.retry,
               .may_refuse = may_refuse,
               .pivot = step.pivot,
               .give_up = perhaps_pivoted ? async::kNever
                                          : async::After(definition.deadline - flight->record.age, flight->started)};
  };
  if (last - first == 1) {  // nearly always: no lists
    Try only = try_of(definition.steps[first]);
    if (!only.action) co_return Result{};
    co_return co_await Attempt(std::move(only), flight, context);
  }
  std::vector<Try> tries;
  for (std::size_t i = first; i < last; ++i) {
    Try each = try_of(definition.steps[i]);
    if (each.action) tries.push_back(std::move(each));
  }
  if (tries.empty()) co_return Result{};
  std::vector<ContextPtr> contexts;
  contexts.reserve(tries.size());
  for (std::size_t i = 0; i < tries.size(); ++i) contexts.push_back(std::make_shared<Context>(*context));
  std::vector<async::Task<Result>> tasks;
  tasks.reserve(tries.size());
  for (std::size_t i = 0; i < tries.size(); ++i) tasks.push_back(Attempt(std::move(tries[i]), flight, contexts[i]));
  std::vector<Result> results = co_await async::WhenAll(std::move(tasks));
  Merge(contexts, *context);
  co_return *std::max_element(results.begin(), results.end(),
                              [](const Result& a, const Result& b) { return a.kind < b.kind; });
}

// Tries until success, a refusal (where it may refuse; else a refusal is retried like the rest) or the policy's end.
async::Task<Driver::Result> Driver::Attempt(Try what, const FlightPtr& flight, ContextPtr& context) {
  absl::Status status;
  int refusals = 0;
  for (int attempt = 1;; ++attempt) {
    async::SteadyTime now = async::SteadyNow();
    // This process was frozen, or its database is away: who has the saga is not known just now.
    while (!lease_.Covers(*flight, now) && !Over(*flight)) {
      co_await async::SleepFor(kHoldPause);
      now = async::SteadyNow();
    }
    if (Over(*flight)) co_return Result{Result::Kind::kLost, what.name, Lost()};
    const bool tried_pivot = what.pivot && attempt > 1;
    if (what.may_refuse && !tried_pivot && now >= what.give_up) {
      co_return Result{Result::Kind::kRefused, what.name, TooLate(status)};
    }
    context->deadline = absl::Now() + what.timeout;
    PendingCall pending{.due = async::After(what.timeout + kOverdue, now)};
    co_await AwaitCall{flight->calls, pending, Call(what.action, flight, context, what.name, &pending)};
    status = std::move(pending.status);
    if (pending.given_up) context = std::make_shared<Context>(*context);
    if (status.ok()) co_return Result{};
    if (errors::Reason(status) == kLostReason) co_return Result{Result::Kind::kLost, what.name, status};
    const bool refused = !Retryable(status);
    if (refused && what.may_refuse) co_return Result{Result::Kind::kRefused, what.name, status};
    flight->Struggle();
    if (refused) ++refusals;
    if (attempt >= what.retry.max_attempts || refusals >= what.retry.max_refusals) {
      co_return Result{Result::Kind::kExhausted, what.name, status};
    }
    // The 1st, 2nd, 4th, 8th... failure: a long outage must not fill the history.
    if (std::has_single_bit(static_cast<unsigned>(attempt))) {
      async::Start(Remember({.type = flight->record.type,
                             .id = flight->record.id,
                             .step = what.name,
                             .attempt = attempt,
                             .error = Text(status)}));
    }
    const absl::Duration delay = Backoff(what.retry, attempt);
    co_await async::SleepFor(delay);
  }
}

async::Task<Driver::Result> Driver::DecideToCompensate(const FlightPtr& flight, ContextPtr& context) {
  const Action write = [this](Context& c) -> async::Task<absl::Status> {
    Decision decision;
    decision.record = c.record;
    decision.text = c.record.reason;
    const absl::StatusOr<bool> held = co_await decisions_.Call(std::move(decision));
    if (!held.ok()) co_return held.status();
    co_return *held ? absl::OkStatus() : Lost();
  };
  co_return co_await Attempt({.name = "decide",
                              .action = write,
                              .timeout = absl::InfiniteDuration(),  // the batcher always answers
                              .retry = {},
                              .may_refuse = false,
                              .give_up = async::kNever},
                             flight, context);
}

// Where parking cannot be written, the lease runs out and the saga is tried again: never forgotten.
async::Task<Outcome> Driver::Park(const Definition& definition, const Context& context, Result why) {
  Decision decision;
  decision.record = context.record;
  decision.direction = Direction::kParked;
  decision.text = Text(why.status);
  decision.step = why.step;
  // One that was taken over too often stands at its last step at most, and can go back like one that is parked there.
  const std::string& at = why.step == kTakeOver ? definition.steps.back().name : why.step;
  decision.compensable = context.record.direction == Direction::kCompensating || Compensable(definition, at);
  const std::string error = decision.text;
  const absl::StatusOr<bool> held = co_await decisions_.Call(std::move(decision));
  if (!held.ok() || !*held) co_return Outcome::kLost;
  telemetry::Log(telemetry::Level::kError, "saga parked",
                 {{"type", context.record.type}, {"id", context.record.id}, {"step", why.step}, {"error", error}},
                 context.record.traceparent);
  co_return Outcome::kParked;
}

// Beside the saga, which does not wait for it; what a crash or a full queue loses was never decided upon.
async::Task<void> Driver::Remember(Remark remark) {
  const absl::StatusOr<bool> written = co_await history_.Call(std::move(remark));
  written.status().IgnoreError();
}

}  // namespace flotilla::saga
