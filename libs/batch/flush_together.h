// For batchers whose requests are themselves lists (batch RPCs): joins whole requests so that they share a transaction.
#pragma once

#include <cstddef>
#include <iterator>
#include <span>
#include <vector>

#include "absl/status/statusor.h"

namespace flotilla::batch {

// Calls `run` (span of items -> StatusOr<vector of results>, one an item) with at least one whole request, and more
// while they hold fewer than `enough` items together; answers each request with its own results. An error is answered
// to all requests that shared the call.
template <class Result, class Item, class Run>
std::vector<absl::StatusOr<std::vector<Result>>> FlushTogether(const std::vector<std::vector<Item>>& requests,
                                                               std::size_t enough, Run run) {
  std::vector<absl::StatusOr<std::vector<Result>>> answers;
  answers.reserve(requests.size());
  for (std::size_t begin = 0; begin < requests.size();) {
    std::size_t end = begin;
    std::size_t count = 0;
    while (end < requests.size() && count < enough) count += requests[end++].size();
    std::vector<Item> joined;
    std::span<const Item> items = requests[begin];
    if (end - begin > 1) {
      joined.reserve(count);
      for (std::size_t i = begin; i < end; ++i) joined.insert(joined.end(), requests[i].begin(), requests[i].end());
      items = joined;
    }
    absl::StatusOr<std::vector<Result>> results = run(items);
    if (end - begin == 1) {
      answers.push_back(std::move(results));
    } else if (!results.ok()) {
      answers.insert(answers.end(), end - begin, results.status());
    } else {
      auto next = std::make_move_iterator(results->begin());
      for (std::size_t i = begin; i < end; ++i) {
        const auto last = next + static_cast<std::ptrdiff_t>(requests[i].size());
        answers.emplace_back(std::vector<Result>(next, last));
        next = last;
      }
    }
    begin = end;
  }
  return answers;
}

}  // namespace flotilla::batch
