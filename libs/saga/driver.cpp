#include "saga/driver.h"

#include <algorithm>
#include <bit>
#include <stdexcept>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "batch/spread.h"
#include "errors/errors.h"
#include "failpoint/failpoint.h"
#include "telemetry/log.h"

namespace flotilla::saga {
namespace {

constexpr char kLostReason[] = "SAGA_LOST";
constexpr char kFinish[] = "finish";
constexpr absl::Duration kCommitTimeout = absl::Seconds(5);
constexpr std::size_t kMaxErrorText = 1000;

std::string ReasonOf(const absl::Status& status) {
  std::string reason = errors::Reason(status);
  return reason.empty() ? absl::StatusCodeToString(status.code()) : reason;
}

// ASCII, so that the database takes it whatever a peer has said: an error that cannot be written would keep a saga from
// being parked.
std::string Text(const absl::Status& status) {
  return absl::CEscape(absl::StrCat(ReasonOf(status), ": ", status.message())).substr(0, kMaxErrorText);
}

absl::Status TooLate(const absl::Status& last) {
  return errors::Make(absl::StatusCode::kDeadlineExceeded, "SAGA_DEADLINE",
                      absl::StrCat("the saga's deadline has passed; last error: ", last.message()));
}

// The steps from `first` that run together with it.
std::size_t GroupEnd(const Definition& definition, std::size_t first) {
  std::size_t last = first + 1;
  while (last < definition.steps.size() && definition.steps[last].concurrent) ++last;
  return last;
}

std::size_t GroupBegin(const Definition& definition, std::size_t last) {
  std::size_t first = last - 1;
  while (first > 0 && definition.steps[first].concurrent) --first;
  return first;
}

// May a saga that stands before the end of `step` go back? Not behind the pivot, nor where there is nothing to undo.
bool Compensable(const Definition& definition, std::string_view step) {
  const auto undoable = [](const Step& s) { return static_cast<bool>(s.compensation); };
  if (std::none_of(definition.steps.begin(), definition.steps.end(), undoable)) return false;
  for (const Step& each : definition.steps) {
    if (each.name == step) return true;
    if (each.pivot) return false;
  }
  return true;  // no pivot at all
}

// Context::results are shared by steps that run one after the other; those that run together have their own.
void Merge(std::vector<Context> contexts, Context& into) {
  for (Context& context : contexts) {
    for (auto& [name, value] : context.results) into.results[name] = std::move(value);
  }
}

// Of every step, way back, decision and finish.
absl::Status Failpoint([[maybe_unused]] const Flight& flight, [[maybe_unused]] const std::string& step,
                       [[maybe_unused]] const char* when) {
  return FLOTILLA_FAILPOINT(
      absl::StrReplaceAll(absl::StrCat("saga.", flight.record.type, ".", step, ".", when), {{" ", "_"}}));
}

async::Task<absl::Status> Guard(const Action& action, Context& context) {
  std::string what;
  try {
    co_return co_await action(context);
  } catch (const std::exception& e) {
    what = e.what();
  } catch (...) {
    what = "of an unknown type";
  }
  co_return absl::InternalError("exception in a saga's step: " + what);
}

}  // namespace

absl::Status Lost() { return errors::Make(absl::StatusCode::kAborted, kLostReason, "another owner has the saga"); }

void CheckDefinition(const Definition& definition) {
  for (std::size_t i = 0; i < definition.steps.size(); ++i) {
    const Step& step = definition.steps[i];
    const bool follows_pivot = i > 0 && definition.steps[i - 1].pivot;
    if (step.concurrent && (i == 0 || step.pivot || follows_pivot)) {
      throw std::invalid_argument(
          absl::StrCat("saga ", definition.type, ": step ", step.name, " cannot be concurrent"));
    }
  }
  if (!definition.finish_forward || !definition.finish_compensated) {
    throw std::invalid_argument(absl::StrCat("saga ", definition.type, " has no finishing actions"));
  }
}

Driver::Driver(const postgres::Options& postgres, std::string owner)
    : owner_(std::move(owner)),
      decisions_({.name = "saga decisions"},
                 [postgres](int) {
                   auto store = std::make_shared<Store>(postgres::Named(postgres, "saga decisions"));
                   return [store](const std::vector<Decision>& asked) {
                     return batch::Spread(store->Decide(asked), asked.size());
                   };
                 }),
      history_({.name = "saga history", .max_queue = 4096}, [this, postgres](int) {
        auto store = std::make_shared<Store>(postgres::Named(postgres, "saga history"));
        return [this, store](const std::vector<Failure>& failures) {
          const absl::Status written = store->WriteHistory(owner_, failures);
          return std::vector<absl::StatusOr<bool>>(failures.size(),
                                                   written.ok() ? absl::StatusOr<bool>(true) : written);
        };
      }) {}

async::Task<Outcome> Driver::Drive(const Definition& definition, Flight& flight) {
  Context context{flight.record, {}, {}};
  if (context.record.direction == Direction::kForward) co_return co_await Forward(definition, flight, context);
  co_return co_await Backward(definition, definition.steps.size(), flight, context);
}

async::Task<Outcome> Driver::Forward(const Definition& definition, Flight& flight, Context& context) {
  bool pivoted = false;
  for (std::size_t first = 0, last; first < definition.steps.size(); first = last) {
    last = GroupEnd(definition, first);
    Result result = co_await Group(definition, first, last, !pivoted, flight, context);
    if (result.kind == Result::Kind::kLost) co_return Outcome::kLost;
    if (result.kind == Result::Kind::kExhausted) co_return co_await Park(definition, context, std::move(result));
    if (result.kind == Result::Kind::kRefused) {
      context.record.direction = Direction::kCompensating;
      context.record.reason = ReasonOf(result.status);
      // Durable before the first compensation runs: a recovery must not go forward again.
      result = co_await DecideToCompensate(flight, context);
      if (result.kind != Result::Kind::kDone) co_return Outcome::kLost;
      // The refused steps are undone too: an earlier attempt may have taken effect unseen.
      co_return co_await Backward(definition, last, flight, context);
    }
    pivoted = pivoted || definition.steps[first].pivot;
  }
  co_return co_await Finish(definition, Outcome::kCompleted, flight, context);
}

async::Task<Outcome> Driver::Backward(const Definition& definition, std::size_t undo, Flight& flight,
                                      Context& context) {
  for (std::size_t last = undo, first; last > 0; last = first) {
    first = GroupBegin(definition, last);
    Result result = co_await Group(definition, first, last, false, flight, context);
    if (result.kind == Result::Kind::kLost) co_return Outcome::kLost;
    if (result.kind != Result::Kind::kDone) co_return co_await Park(definition, context, std::move(result));
  }
  co_return co_await Finish(definition, Outcome::kCompensated, flight, context);
}

async::Task<Outcome> Driver::Finish(const Definition& definition, Outcome outcome, Flight& flight, Context& context) {
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
  co_return co_await Park(definition, context, std::move(result));
}

// Runs steps [first, last) in the saga's direction, together.
async::Task<Driver::Result> Driver::Group(const Definition& definition, std::size_t first, std::size_t last,
                                          bool may_refuse, Flight& flight, Context& context) {
  const bool forward = context.record.direction == Direction::kForward;
  // One that was taken over may have tried its pivot: then nobody knows whether that has taken effect.
  const bool perhaps_pivoted = flight.record.age > absl::ZeroDuration() &&
                               std::ranges::any_of(definition.steps, [](const Step& step) { return step.pivot; });
  const auto try_of = [&](const Step& step) {
    return Try{.name = forward ? step.name : "undo " + step.name,
               .action = forward ? step.action : step.compensation,
               .timeout = step.timeout,
               .retry = step.retry,
               .may_refuse = may_refuse,
               .pivot = step.pivot,
               .give_up = perhaps_pivoted ? async::kNever
                                          : async::After(definition.deadline - flight.record.age, flight.started)};
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
  std::vector<Context> contexts(tries.size(), context);
  std::vector<async::Task<Result>> tasks;
  for (std::size_t i = 0; i < tries.size(); ++i) tasks.push_back(Attempt(std::move(tries[i]), flight, contexts[i]));
  std::vector<Result> results = co_await async::WhenAll(std::move(tasks));
  Merge(std::move(contexts), context);
  co_return *std::max_element(results.begin(), results.end(),
                              [](const Result& a, const Result& b) { return a.kind < b.kind; });
}

// Tries until success, a refusal (where it may refuse; else a refusal is retried like the rest) or the policy's end.
async::Task<Driver::Result> Driver::Attempt(Try what, Flight& flight, Context& context) {
  absl::Status status;
  for (int attempt = 1;; ++attempt) {
    if (flight.lost.load() || stopped_.load()) co_return Result{Result::Kind::kLost, what.name, Lost()};
    const bool tried_pivot = what.pivot && attempt > 1;
    if (what.may_refuse && !tried_pivot && async::SteadyNow() >= what.give_up) {
      co_return Result{Result::Kind::kRefused, what.name, TooLate(status)};
    }
    context.deadline = absl::Now() + what.timeout;
    tracing::Span span(what.name, tracing::Kind::kInternal, flight.span.scope());
    co_await async::SetScope(span.scope());
    status = Failpoint(flight, what.name, "before");
    if (status.ok()) status = co_await Guard(what.action, context);
    if (status.ok()) status = Failpoint(flight, what.name, "after");
    co_await async::SetScope(nullptr);
    span.End(status);
    if (status.ok()) co_return Result{};
    if (errors::Reason(status) == kLostReason) co_return Result{Result::Kind::kLost, what.name, status};
    if (what.may_refuse && !Retryable(status)) co_return Result{Result::Kind::kRefused, what.name, status};
    if (attempt >= what.retry.max_attempts) co_return Result{Result::Kind::kExhausted, what.name, status};
    // The 1st, 2nd, 4th, 8th... failure: a long outage must not fill the history.
    if (std::has_single_bit(static_cast<unsigned>(attempt))) {
      async::Start(Remember({flight.record.type, flight.record.id, what.name, attempt, Text(status)}));
    }
    const absl::Duration delay = Backoff(what.retry, attempt);
    co_await async::SleepFor(delay);
  }
}

async::Task<Driver::Result> Driver::DecideToCompensate(Flight& flight, Context& context) {
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
                              .timeout = kCommitTimeout,
                              .retry = {},
                              .may_refuse = false,
                              .give_up = async::kNever},
                             flight, context);
}

// Where parking cannot be written, the lease runs out and the saga is tried again: never forgotten.
async::Task<Outcome> Driver::Park(const Definition& definition, Context& context, Result why) {
  Decision decision;
  decision.record = context.record;
  decision.direction = Direction::kParked;
  decision.text = Text(why.status);
  decision.step = why.step;
  decision.compensable = context.record.direction == Direction::kCompensating || Compensable(definition, why.step);
  const std::string error = decision.text;
  const absl::StatusOr<bool> held = co_await decisions_.Call(std::move(decision));
  if (!held.ok() || !*held) co_return Outcome::kLost;
  telemetry::Log(telemetry::Level::kError, "saga parked",
                 {{"type", context.record.type}, {"id", context.record.id}, {"step", why.step}, {"error", error}},
                 context.record.traceparent);
  co_return Outcome::kParked;
}

// Beside the saga, which does not wait for it; what a crash or a full queue loses was never decided upon.
async::Task<void> Driver::Remember(Failure failure) {
  const absl::StatusOr<bool> written = co_await history_.Call(std::move(failure));
  written.status().IgnoreError();
}

}  // namespace flotilla::saga
