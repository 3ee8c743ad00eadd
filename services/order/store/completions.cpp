#include "order/store/completions.h"

#include <memory>

#include "batch/flush_together.h"

namespace flotilla::order {
namespace {

// Requests are added to one look until it holds this many orders.
constexpr std::size_t kOrdersAtOnce = 1000;

}  // namespace

Completions::Completions(const postgres::Options& postgres)
    : read_({.name = "completion", .max_batch = 16, .max_queue = 64},
            [postgres](int) {
              return [store = std::make_shared<CompletionStore>(postgres::Named(postgres, "completion"))](
                         const std::vector<std::vector<OrderKey>>& requests) {
                return batch::FlushTogether<std::optional<Completion>>(requests, kOrdersAtOnce,
                                                                       [&](auto keys) { return store->Read(keys); });
              };
            }),
      list_({.name = "outcomes", .max_batch = 4, .max_queue = 16}, [postgres](int) {
        return [store = std::make_shared<OutcomeStore>(postgres::Named(postgres, "outcomes"))](
                   const std::vector<OutcomeQuery>& queries) {
          std::vector<absl::StatusOr<OutcomePage>> pages;
          pages.reserve(queries.size());
          for (const OutcomeQuery& query : queries) pages.push_back(store->List(query));
          return pages;
        };
      }) {}

}  // namespace flotilla::order
