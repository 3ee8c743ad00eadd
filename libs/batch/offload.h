// Blocking calls for coroutines, one at a time on each of a few threads: for what is asked too seldom, or is too
// different each time, to be worth a batch. Each thread has its own Resource (a database connection and what uses it).
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "batch/worker_batcher.h"

namespace flotilla::batch {

template <class Resource>
class Offload {
 public:
  // `make` is called once a worker, on its thread. Of the options max_batch is always 1.
  Offload(WorkerOptions options, std::function<std::shared_ptr<Resource>()> make)
      : calls_(One(std::move(options)), [make = std::move(make)](int) {
          return [resource = make()](const std::vector<Work>& works) {
            for (const Work& work : works) work(*resource);
            return typename Batcher::Results(works.size(), Done());
          };
        }) {}

  // What `call` returns. RESOURCE_EXHAUSTED: queue full. Only on an executor's thread; resumes there.
  template <class T>
  async::Task<absl::StatusOr<T>> Run(std::function<absl::StatusOr<T>(Resource&)> call) {
    absl::StatusOr<T> result = absl::UnknownError("not run");
    const absl::StatusOr<Done> done = co_await calls_.Call([&](Resource& resource) { result = call(resource); });
    if (!done.ok()) co_return done.status();
    co_return result;
  }

 private:
  struct Done {};
  using Work = std::function<void(Resource&)>;
  using Batcher = WorkerBatcher<Work, Done>;
  static WorkerOptions One(WorkerOptions options) {
    options.max_batch = 1;
    return options;
  }
  Batcher calls_;
};

}  // namespace flotilla::batch
