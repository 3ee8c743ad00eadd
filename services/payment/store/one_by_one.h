// Within this room: what a WorkerBatcher runs where requests have nothing to share.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "postgres/session.h"

namespace flotilla::payment {

// One after the other, by `run(store, query)`, each worker on a store of its own.
template <class Store, class Query, class Answer, class Run>
auto OneByOne(const postgres::Options& options, Run run) {
  return [options, run](int) {
    return [store = std::make_shared<Store>(options), run](const std::vector<Query>& queries) {
      std::vector<absl::StatusOr<Answer>> answers;
      answers.reserve(queries.size());
      for (const Query& query : queries) answers.push_back(run(*store, query));
      return answers;
    };
  };
}

}  // namespace flotilla::payment
