#include "order/store/completion_store.h"

#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace flotilla::order {
namespace {

using postgres::Array;
using postgres::Statement;
using postgres::Transaction;

// A paid order has not changed since it was paid. One that was refunded in part has, but its first refund tells until
// when it must have been complete.
const Statement kRead = {"read_completions", R"(
    SELECT o.user_id, o.order_id, o.state,
           (extract(epoch FROM least(o.updated_at, CASE WHEN o.state = 8 THEN (
              SELECT min(r.created_at) FROM order_refund r WHERE r.user_id = o.user_id AND r.order_id = o.order_id) END))
            * 1000000)::bigint, o.currency, o.total, o.refunded
    FROM unnest($1::text[], $2::uuid[]) AS i(user_id, order_id)
    JOIN orders o ON o.user_id = i.user_id AND o.order_id = i.order_id)"};

}  // namespace

absl::StatusOr<std::vector<std::optional<Completion>>> CompletionStore::Read(std::span<const OrderKey> keys) {
  std::vector<std::string_view> users, ids;
  for (const OrderKey& key : keys) {
    users.push_back(key.user_id);
    ids.push_back(key.order_id);
  }
  std::vector<std::optional<Completion>> completions;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    absl::flat_hash_map<std::pair<std::string, std::string>, Completion> found;
    for (const auto& row : transaction.Run(kRead, Array(users), Array(ids))) {
      Completion completion{.state = static_cast<State>(row[2].as<int>()),
                            .currency = row[4].c_str(),
                            .total = row[5].as<std::int64_t>(),
                            .refunded = row[6].as<std::int64_t>()};
      if (Complete(completion.state)) completion.completed_at = absl::FromUnixMicros(row[3].as<std::int64_t>());
      found.emplace(std::pair<std::string, std::string>(row[0].c_str(), row[1].c_str()), completion);
    }
    completions.assign(keys.size(), std::nullopt);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto it = found.find(std::pair(keys[i].user_id, keys[i].order_id));
      if (it != found.end()) completions[i] = it->second;
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return completions;
}

}  // namespace flotilla::order
