#include "order/store/awaiting_store.h"

#include <string>
#include <utility>

namespace flotilla::order {
namespace {

// By the state too: while a version from before this column runs beside, it leaves the column as it was.
const postgres::Statement kList = {"list_awaiting", R"(
    SELECT user_id, order_id, (extract(epoch FROM awaits_until) * 1000000)::bigint
    FROM orders
    WHERE (awaits_until, order_id) > ('epoch'::timestamptz + $1::bigint * interval '1 microsecond', $2::uuid)
      AND awaits_until <= 'epoch'::timestamptz + $3::bigint * interval '1 microsecond' AND state = 5
    ORDER BY awaits_until, order_id LIMIT $4::int)"};

constexpr char kFirstId[] = "00000000-0000-0000-0000-000000000000";

}  // namespace

absl::StatusOr<std::vector<Overdue>> AwaitingStore::List(absl::Time latest, const std::optional<Overdue>& after,
                                                         int limit) {
  std::vector<Overdue> overdue;
  const absl::Status status = session_.Read([&](postgres::Transaction& transaction) {
    overdue.clear();
    for (const auto& row : transaction.Run(kList, after.has_value() ? absl::ToUnixMicros(after->awaits_until) : 0,
                                           after.has_value() ? after->key.order_id : std::string(kFirstId),
                                           absl::ToUnixMicros(latest), limit)) {
      overdue.push_back({{row[0].c_str(), row[1].c_str()}, absl::FromUnixMicros(row[2].as<std::int64_t>())});
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return overdue;
}

}  // namespace flotilla::order
