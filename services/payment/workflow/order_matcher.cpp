#include "payment/workflow/order_matcher.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "failpoint/failpoint.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace flotilla::payment {
namespace {

constexpr int kBatch = 500;  // orders that are looked at again at once
// Of both logs together no more orders than order can be asked about at once, 1,000; one has about three transfers, of
// which one is looked at, and two changes, of which one is its end.
constexpr int kTransfers = 600;
constexpr int kChanges = 400;
constexpr absl::Duration kLongestPause = absl::Seconds(15);
// Nobody waits for it, so it leaves the databases to others now and then, even with years to catch up on.
constexpr absl::Duration kBetweenBatches = absl::Milliseconds(20);

}  // namespace

OrderMatcher::OrderMatcher(Options options, const postgres::DatabaseClock& clock)
    : options_(std::move(options)),
      clock_(clock),
      store_(options_.postgres),
      matched_(telemetry::Counter("flotilla_payment_orders_matched_total",
                                  "Orders compared with the ledger, repeats included")),
      failed_(telemetry::Counter("flotilla_payment_order_matches_failed_total",
                                 "Batches of orders that could not be compared with the ledger, since order or the "
                                 "database did not answer")) {}

OrderMatcher::~OrderMatcher() { Stop(); }

void OrderMatcher::Start() {
  thread_ = std::thread([this] { Run(); });
}

void OrderMatcher::Stop() {
  stop_.Set();
  if (thread_.joinable()) thread_.join();
}

// In turns, a batch each: neither keeps the other from its own.
void OrderMatcher::Run() {
  absl::Duration pause = options_.period;
  while (!stop_.WaitFor(pause)) {
    const absl::StatusOr<bool> news = MatchNews();
    const absl::StatusOr<bool> again = LookAgain();
    absl::Status failed = news.status();
    failed.Update(again.status());
    if (!failed.ok()) {
      failed_.Increment();
      telemetry::Warning("the ledger is not compared with the orders", {{"error", failed.ToString()}});
      pause = std::clamp(2 * pause, options_.period, kLongestPause);
    } else {
      pause = *news || *again ? kBetweenBatches : options_.period;
    }
  }
}

absl::StatusOr<bool> OrderMatcher::MatchNews() {
  const absl::StatusOr<OrderMatchStore::News> news = store_.Claim(options_.after, kTransfers);
  if (!news.ok()) return news.status();
  if (news->from.xid.empty()) return false;
  const absl::StatusOr<EndedOrders> ended = options_.list(news->from.order_token, options_.after, kChanges);
  const absl::StatusOr<MatchPlan> plan = ended.ok() ? Match(*news, *ended) : ended.status();
  if (!plan.ok()) {
    store_.Free().IgnoreError();  // else it is free after a while
    return plan.status();
  }
  if (auto error = FLOTILLA_FAILPOINT("order_match.planned"); !error.ok()) return error;
  OrderMatchStore::Cursor next = news->next;
  next.order_token = ended->next_token;
  if (auto status = store_.Advance(news->from, next, *plan); !status.ok()) return status;
  return next.xid != news->from.xid || next.transfer_id != news->from.transfer_id ||
         next.order_token != news->from.order_token;
}

absl::StatusOr<MatchPlan> OrderMatcher::Match(const OrderMatchStore::News& news, const EndedOrders& ended) {
  absl::flat_hash_map<std::string, std::string> users;  // by order id; empty: its charge tells
  for (const EndedOrder& order : ended.orders) users[order.order_id] = order.user_id;
  for (const std::string& id : news.order_ids) users.try_emplace(id);
  if (users.empty()) return MatchPlan();
  std::vector<std::string> ids;
  for (const auto& [id, user] : users) ids.push_back(id);
  const absl::StatusOr<std::vector<OrderMatchStore::Kept>> read = store_.Read(ids);
  if (!read.ok()) return read.status();
  std::vector<OrderLook> looks;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const std::string& user = users.at(ids[i]);
    looks.push_back({.order_id = ids[i], .user_id = user.empty() ? (*read)[i].user_id : user});
  }
  return Compare(looks, *read);
}

absl::StatusOr<MatchPlan> OrderMatcher::Compare(const std::vector<OrderLook>& looks,
                                                const std::vector<OrderMatchStore::Kept>& read) {
  const absl::StatusOr<std::vector<OrderWord>> words = options_.ask(looks);
  if (!words.ok()) return words.status();
  std::vector<KeptMoney> kept;
  kept.reserve(read.size());
  for (const OrderMatchStore::Kept& k : read) kept.push_back(k.money);
  matched_.Increment(static_cast<double>(looks.size()));
  return PlanMatch(looks, kept, *words, options_.every, clock_.Now());
}

absl::StatusOr<bool> OrderMatcher::LookAgain() {
  const absl::StatusOr<std::vector<OrderLook>> looks = store_.ClaimLooks(clock_.Now(), kBatch);
  if (!looks.ok()) return looks.status();
  if (looks->empty()) return false;
  std::vector<std::string> ids;
  for (const OrderLook& look : *looks) ids.push_back(look.order_id);
  const absl::StatusOr<std::vector<OrderMatchStore::Kept>> read = store_.Read(ids);
  if (!read.ok()) return read.status();
  const absl::StatusOr<MatchPlan> plan = Compare(*looks, *read);
  if (!plan.ok()) return plan.status();
  const absl::StatusOr<std::int64_t> added = store_.Keep(*plan);
  if (!added.ok()) return added.status();
  if (*added > 0) {
    telemetry::Error("the ledger differs from orders", {{"new_differences", std::to_string(*added)}});
  }
  return true;
}

}  // namespace flotilla::payment
