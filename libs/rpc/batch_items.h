// Batch RPCs: every item is answered by itself, in order. A malformed one gets its own error, the others go on
// together.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "errors/errors.h"
#include "google/rpc/status.pb.h"
#include "rpc/server.h"

namespace flotilla::rpc {

inline constexpr int kMaxBatch = 1000;

// The index of a request that is not an item of a batch.
inline constexpr int kNotInBatch = -1;

// Names the field "requests[2].amount" for the item of that index, or plainly "amount".
inline absl::Status InvalidItem(int index, std::string_view field, std::string_view rule) {
  if (index == kNotInBatch) return errors::InvalidField(field, rule);
  return errors::InvalidField("requests[" + std::to_string(index) + "]." + std::string(field), rule);
}

inline absl::Status CheckBatch(int size, std::string_view field = "requests") {
  if (size >= 1 && size <= kMaxBatch) return absl::OkStatus();
  return errors::InvalidField(field, "must hold 1 to " + std::to_string(kMaxBatch));
}

template <class Command>
struct BatchItems {
  std::vector<Command> commands;                     // of the well-formed items, in order
  std::vector<std::pair<int, absl::Status>> errors;  // of the others, by index, ascending
};

// `parse`: (item, index) -> StatusOr<Command>.
template <class Command, class Items, class Parse>
BatchItems<Command> ParseItems(const Items& items, Parse parse) {
  BatchItems<Command> batch;
  batch.commands.reserve(static_cast<std::size_t>(items.size()));
  for (int i = 0; i < items.size(); ++i) {
    absl::StatusOr<Command> command = parse(items[i], i);
    if (command.ok()) {
      batch.commands.push_back(*std::move(command));
    } else {
      batch.errors.emplace_back(i, command.status());
    }
  }
  return batch;
}

// What a call of its own would have ended with.
inline google::rpc::Status ItemError(const absl::Status& status) {
  return errors::ToProto(internal::WithReason(status));
}

// The response with one item for each of the request's: errors where they were, in between one for each of `results`,
// set by `fill` (result, item). An item is a google.rpc.Status or has one named "error".
template <class Response, class Results, class Fill>
Response Assemble(const std::vector<std::pair<int, absl::Status>>& errors, const Results& results, Fill fill) {
  Response response;
  const int size = static_cast<int>(errors.size() + results.size());
  response.mutable_results()->Reserve(size);
  auto error = errors.begin();
  auto result = results.begin();
  for (int i = 0; i < size; ++i) {
    auto* item = response.add_results();
    if (error == errors.end() || error->first != i) {
      fill(*result++, *item);
      continue;
    }
    google::rpc::Status refusal = errors::ToProto((error++)->second);
    if constexpr (std::is_same_v<decltype(item), google::rpc::Status*>) {
      *item = std::move(refusal);
    } else {
      *item->mutable_error() = std::move(refusal);
    }
  }
  return response;
}

}  // namespace flotilla::rpc
