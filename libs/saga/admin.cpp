#include "saga/admin.h"

#include <memory>

namespace flotilla::saga {
namespace {

// Runs `ask` (AdminStore -> StatusOr<Result>) as a job. The result lives in this coroutine, which waits for the job.
template <class Result, class Jobs, class Ask>
async::Task<absl::StatusOr<Result>> Answer(Jobs& jobs, Ask ask) {
  absl::StatusOr<Result> result = absl::UnknownError("not asked");
  const absl::StatusOr<bool> done = co_await jobs.Call([&](AdminStore& store) {
    result = ask(store);
    return result.status();
  });
  if (!done.ok()) co_return done.status();
  co_return std::move(result);
}

}  // namespace

Admin::Admin(const postgres::Options& postgres, const Conclude& conclude)
    : jobs_({.name = "saga admin", .max_batch = 16, .max_queue = 256}, [postgres, conclude](int) {
        auto store = std::make_shared<AdminStore>(postgres::Named(postgres, "saga admin"), conclude);
        return [store](const std::vector<Job>& jobs) {
          std::vector<absl::StatusOr<bool>> results;
          for (const Job& job : jobs) {
            const absl::Status status = job(*store);
            results.push_back(status.ok() ? absl::StatusOr<bool>(true) : status);
          }
          return results;
        };
      }) {}

async::Task<absl::StatusOr<std::vector<SagaView>>> Admin::List(SagaQuery query) {
  return Answer<std::vector<SagaView>>(jobs_, [query = std::move(query)](AdminStore& s) { return s.List(query); });
}

async::Task<absl::StatusOr<SagaDetail>> Admin::Get(SagaKey key) {
  return Answer<SagaDetail>(jobs_, [key = std::move(key)](AdminStore& s) { return s.Get(key); });
}

async::Task<absl::StatusOr<std::vector<OperatorAct>>> Admin::Acts(ActQuery query) {
  return Answer<std::vector<OperatorAct>>(jobs_, [query = std::move(query)](AdminStore& s) { return s.Acts(query); });
}

async::Task<absl::StatusOr<int>> Admin::RetryAll(RetryQuery query, std::string operator_id, std::string note) {
  return Answer<int>(jobs_, [query = std::move(query), operator_id = std::move(operator_id),
                             note = std::move(note)](AdminStore& s) { return s.RetryAll(query, operator_id, note); });
}

async::Task<absl::Status> Admin::Do(Act act, SagaKey key, std::string operator_id, std::string note, int end) {
  const absl::StatusOr<bool> done =
      co_await jobs_.Call([=](AdminStore& store) { return store.Do(act, key, operator_id, note, end); });
  co_return done.status();
}

}  // namespace flotilla::saga
