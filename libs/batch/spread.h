// From one result for a whole batch to one answer for each of its requests.
#pragma once

#include <cstddef>
#include <iterator>
#include <vector>

#include "absl/status/statusor.h"

namespace flotilla::batch {

// `results` holds one value for each of `count` requests; an error is answered to all of them.
template <class Response>
std::vector<absl::StatusOr<Response>> Spread(absl::StatusOr<std::vector<Response>> results, std::size_t count) {
  if (!results.ok()) return std::vector<absl::StatusOr<Response>>(count, results.status());
  return {std::make_move_iterator(results->begin()), std::make_move_iterator(results->end())};
}

}  // namespace flotilla::batch
