#include <algorithm>
#include <set>
#include <tuple>
#include <unordered_map>

#include "order/store/order_rows.h"
#include "order/store/order_store.h"

namespace flotilla::order {
namespace {

using postgres::Array;
using postgres::Care;
using postgres::Statement;
using postgres::Transaction;

#define UPDATE_ORDERS \
  R"(
    UPDATE orders o
    SET state = i.state, version = i.version, cancel_reason = i.cancel_reason, refunded = i.refunded,
        payment_reference = i.reference,
        pay_by = 'epoch'::timestamptz + NULLIF(i.pay_by_s, 0) * interval '1 second',
        awaits_until = CASE WHEN i.state = 5 THEN 'epoch'::timestamptz + i.pay_by_s * interval '1 second' END,
        updated_at = 'epoch'::timestamptz + i.at_us * interval '1 microsecond'
    FROM unnest($1::text[], $2::uuid[], $3::smallint[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[], $8::text[],
                $9::bigint[])
      AS i(user_id, order_id, state, version, cancel_reason, at_us, refunded, reference, pay_by_s)
    WHERE o.user_id = i.user_id AND o.order_id = i.order_id AND o.version = i.version - 1
    RETURNING o.order_id)"
const Statement kUpdate = {"update_orders", UPDATE_ORDERS};
// assert_failure where one of them is at another version.
const Statement kUpdateAll = {"update_all_orders",
                              "WITH changed AS (" UPDATE_ORDERS ") SELECT require_rows($10, count(*)) FROM changed"};
#undef UPDATE_ORDERS

const Statement kInsertRefund = {"insert_order_refund", R"(
    INSERT INTO order_refund (user_id, order_id, refund_id, amount, return_stock)
    VALUES ($1, $2::uuid, $3, $4::bigint, $5::boolean))"};

// As parameters of an update.
auto Columns(std::span<const Change> changes, const std::vector<std::size_t>& chosen) {
  std::vector<std::string> users, ids, reasons, references;
  std::vector<std::int64_t> states, versions, times, refunded, pay_bys;
  for (const std::size_t index : chosen) {
    const Order& order = changes[index].order;
    users.push_back(order.user_id);
    ids.push_back(order.order_id);
    states.push_back(static_cast<int>(order.state));
    versions.push_back(order.version);
    reasons.push_back(order.cancel_reason);
    times.push_back(absl::ToUnixMicros(order.updated_at));
    refunded.push_back(order.refunded);
    references.push_back(order.payment_reference);
    pay_bys.push_back(order.pay_by == absl::InfinitePast() ? 0 : absl::ToUnixSeconds(order.pay_by));
  }
  return std::tuple(Array(users), Array(ids), Array(states), Array(versions), Array(reasons), Array(times),
                    Array(refunded), Array(references), Array(pay_bys));
}

// What goes with the changes of the orders: events, refunds, sagas that begin.
void WriteRest(Transaction& transaction, std::span<const Change> changes, const std::vector<std::size_t>& done,
               const std::string& owner, absl::Duration lease) {
  std::vector<saga::Record> begins;
  std::vector<events::Event> events;
  for (const std::size_t i : done) {
    events.push_back(changes[i].event);
    if (changes[i].saga == Change::Saga::kBegins) begins.push_back(changes[i].record);
    // The order's version serializes them: a refund id cannot have been written since the caller looked.
    if (changes[i].refund.has_value()) {
      const Refund& refund = *changes[i].refund;
      transaction.Defer(kInsertRefund, changes[i].order.user_id, changes[i].order.order_id, refund.refund_id,
                        refund.amount, refund.return_stock);
    }
  }
  if (!begins.empty()) saga::Begin(transaction, begins, owner, lease);
  events::Append(transaction, events);
}

std::vector<saga::Record> Ends(std::span<const Change> changes, const std::vector<std::size_t>& chosen) {
  std::vector<saga::Record> ends;
  for (const std::size_t i : chosen) {
    if (changes[i].saga == Change::Saga::kEnds) ends.push_back(changes[i].record);
  }
  return ends;
}

// All of them or assert_failure: nothing here waits for an answer.
void ApplyAll(Transaction& transaction, std::span<const Change> changes, const std::vector<std::size_t>& chosen,
              const std::string& owner, absl::Duration lease) {
  saga::EndAll(transaction, Ends(changes, chosen));
  std::apply(
      [&](const auto&... column) {
        transaction.Defer(kUpdateAll, column..., static_cast<std::int64_t>(chosen.size()));
      },
      Columns(changes, chosen));
  WriteRest(transaction, changes, chosen, owner, lease);
}

struct Held {
  std::vector<std::size_t> done;
  std::vector<std::size_t> stale;  // whose saga was ended here, but whose order was not at the version before
};

// A saga that another owner has keeps its order from being changed here.
Held ApplyWhatHolds(Transaction& transaction, std::span<const Change> changes, const std::vector<std::size_t>& chosen,
                    const std::string& owner, absl::Duration lease) {
  const std::vector<saga::Record> ends = Ends(changes, chosen);
  std::set<std::string> ended;
  if (!ends.empty()) {
    for (auto& id : saga::End(transaction, ends)) ended.insert(std::move(id));
  }
  std::vector<std::size_t> own;
  for (const std::size_t i : chosen) {
    if (changes[i].saga != Change::Saga::kEnds || ended.contains(changes[i].record.id)) own.push_back(i);
  }
  if (own.empty()) return {};
  const std::set<std::string> updated = std::apply(
      [&](const auto&... column) { return Ids(transaction.Run(kUpdate, column...)); }, Columns(changes, own));
  Held held;
  for (const std::size_t i : own) {
    if (updated.contains(changes[i].order.order_id)) {
      held.done.push_back(i);
    } else if (changes[i].saga == Change::Saga::kEnds) {
      held.stale.push_back(i);
    }
  }
  WriteRest(transaction, changes, held.done, owner, lease);
  return held;
}

}  // namespace

absl::StatusOr<std::vector<ChangeResult>> OrderStore::Apply(std::span<const Change> changes) {
  // Two changes of one order never share a transaction: the second would not see the first.
  // Of two ends of one saga the newer owner's counts.
  std::unordered_map<std::string_view, std::size_t> chosen;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const auto [it, first] = chosen.emplace(changes[i].order.order_id, i);
    if (!first && changes[i].record.fence > changes[it->second].record.fence) it->second = i;
  }
  std::vector<std::size_t> candidates;
  candidates.reserve(chosen.size());
  for (const auto& [id, index] : chosen) candidates.push_back(index);
  std::sort(candidates.begin(), candidates.end());
  std::vector<ChangeResult> results(changes.size(), ChangeResult::kStale);
  for (;;) {
    Held held;
    const absl::Status status = session_.TransactHopefully([&](Transaction& transaction, Care care) {
      held = {.done = candidates, .stale = {}};
      if (candidates.empty()) return absl::OkStatus();
      if (care == Care::kHope) {
        ApplyAll(transaction, changes, candidates, saga_owner_, saga_lease_);
      } else {
        held = ApplyWhatHolds(transaction, changes, candidates, saga_owner_, saga_lease_);
      }
      // A saga holds its order, so nobody else should have changed it. Where it happened all the same, its record must
      // stay: the others go without it.
      return held.stale.empty() ? absl::OkStatus() : absl::AbortedError("stale changes left out");
    });
    if (held.stale.empty()) {
      if (!status.ok()) return status;
      for (const std::size_t i : held.done) results[i] = ChangeResult::kDone;
      return results;
    }
    for (const std::size_t i : held.stale) results[i] = ChangeResult::kConflict;
    std::erase_if(candidates, [&](std::size_t i) { return std::ranges::find(held.stale, i) != held.stale.end(); });
  }
}

}  // namespace flotilla::order
