#include "order/store/orders.h"

#include <iterator>
#include <memory>

namespace flotilla::order {
namespace {

template <class Response>
std::vector<absl::StatusOr<Response>> Spread(absl::StatusOr<std::vector<Response>> results, std::size_t count) {
  if (!results.ok()) return std::vector<absl::StatusOr<Response>>(count, results.status());
  return {std::make_move_iterator(results->begin()), std::make_move_iterator(results->end())};
}

}  // namespace

Orders::Orders(const postgres::Options& postgres, const std::string& saga_owner, absl::Duration saga_lease,
               std::function<void()> committed)
    : place_({.name = "place"},
             [=](int) {
               auto store = std::make_shared<OrderStore>(postgres, saga_owner, saga_lease);
               return [store, committed](const std::vector<Placement>& requests) {
                 auto results = Spread(store->Place(requests), requests.size());
                 committed();
                 return results;
               };
             }),
      change_({.name = "change"},
              [=](int) {
                auto store = std::make_shared<OrderStore>(postgres, saga_owner, saga_lease);
                return [store, committed](const std::vector<Change>& requests) {
                  auto results = Spread(store->Apply(requests), requests.size());
                  committed();
                  return results;
                };
              }),
      read_({.name = "read"},
            [=](int) {
              auto store = std::make_shared<OrderStore>(postgres, saga_owner, saga_lease);
              return [store](const std::vector<OrderKey>& requests) {
                return Spread(store->Read(requests), requests.size());
              };
            }),
      list_({.name = "list", .max_batch = 16, .max_queue = 1024}, [=](int) {
        auto store = std::make_shared<OrderStore>(postgres, saga_owner, saga_lease);
        return [store](const std::vector<ListQuery>& requests) {
          std::vector<absl::StatusOr<std::vector<Order>>> results;
          results.reserve(requests.size());
          for (const ListQuery& query : requests) results.push_back(store->List(query));
          return results;
        };
      }) {}

}  // namespace flotilla::order
