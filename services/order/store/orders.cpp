#include "order/store/orders.h"

#include <memory>
#include <span>

#include "batch/spread.h"

namespace flotilla::order {
namespace {

// `committed` is called after each transaction, whatever became of it.
template <class Request, class Response>
auto Writer(const postgres::Options& postgres, const char* purpose, const std::string& saga_owner,
            absl::Duration saga_lease, const std::function<void()>& committed,
            absl::StatusOr<std::vector<Response>> (OrderStore::*write)(std::span<const Request>)) {
  return [=](int) {
    auto store = std::make_shared<OrderStore>(postgres::Named(postgres, purpose), saga_owner, saga_lease);
    return [=](const std::vector<Request>& requests) {
      auto results = batch::Spread((*store.*write)(requests), requests.size());
      committed();
      return results;
    };
  };
}

}  // namespace

Orders::Orders(const postgres::Options& postgres, const std::string& saga_owner, absl::Duration saga_lease,
               const std::function<void()>& committed)
    : place_({.name = "place"}, Writer(postgres, "place", saga_owner, saga_lease, committed, &OrderStore::Place)),
      change_({.name = "change"}, Writer(postgres, "change", saga_owner, saga_lease, committed, &OrderStore::Apply)),
      read_({.name = "read"},
            [=](int) {
              auto store = std::make_shared<OrderStore>(postgres::Named(postgres, "read"), saga_owner, saga_lease);
              return [store](const std::vector<OrderKey>& requests) {
                return batch::Spread(store->Read(requests), requests.size());
              };
            }),
      refund_({.name = "refund", .max_batch = 16, .max_queue = 1024},
              [=](int) {
                auto store = std::make_shared<OrderStore>(postgres::Named(postgres, "refund"), saga_owner, saga_lease);
                return [store](const std::vector<RefundKey>& keys) {
                  std::vector<absl::StatusOr<std::optional<Refund>>> results;
                  results.reserve(keys.size());
                  for (const RefundKey& key : keys) results.push_back(store->ReadRefund(key));
                  return results;
                };
              }),
      list_({.name = "list", .max_batch = 16, .max_queue = 1024}, [=](int) {
        auto store = std::make_shared<OrderStore>(postgres::Named(postgres, "list"), saga_owner, saga_lease);
        return [store](const std::vector<ListQuery>& requests) {
          std::vector<absl::StatusOr<std::vector<Order>>> results;
          results.reserve(requests.size());
          for (const ListQuery& query : requests) results.push_back(store->List(query));
          return results;
        };
      }) {}

}  // namespace flotilla::order
