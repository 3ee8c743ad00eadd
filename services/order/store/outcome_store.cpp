#include "order/store/outcome_store.h"

#include <array>
#include <string_view>

#include "absl/strings/numbers.h"
#include "order/domain/order.h"

namespace flotilla::order {
namespace {

using postgres::Statement;
using postgres::Transaction;

// Only what is older than every running transaction: nothing can come up behind it.
const Statement kList = {"list_outcomes", R"(
    SELECT e.xid::text, e.position, e.appended_at <= now() - make_interval(secs => $3::float8),
           CASE WHEN e.type = ANY($5::text[]) THEN e.data END
    FROM event e
    WHERE (e.xid, e.position) > ($1::xid8, $2::bigint) AND e.xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY e.xid, e.position LIMIT $4::int)"};

postgres::Parameter EndTypes() {
  constexpr std::array kEnds = {State::kPaid, State::kCancelled, State::kRefunded, State::kPartiallyRefunded};
  std::vector<std::string_view> types;
  types.reserve(kEnds.size());
  for (const State state : kEnds) types.push_back(EventType(state));
  return postgres::Array(types);
}

}  // namespace

absl::StatusOr<OutcomePage> OutcomeStore::List(const OutcomeQuery& query) {
  OutcomePage page;
  const absl::Status status = session_.Read([&](Transaction& transaction) -> absl::Status {
    page = {.events = {}, .next = query.after};
    for (const auto& row : transaction.Run(kList, std::to_string(query.after.xid), query.after.position,
                                           absl::ToDoubleSeconds(query.min_age), query.limit, EndTypes())) {
      if (!row[2].as<bool>()) break;
      if (!absl::SimpleAtoi(row[0].c_str(), &page.next.xid)) return absl::InternalError("an xid is no number");
      page.next.position = row[1].as<std::int64_t>();
      if (!row[3].is_null()) page.events.push_back(postgres::FromBytes(row[3].c_str()));
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return page;
}

}  // namespace flotilla::order
