#include "notify/store/pruner.h"

#include "absl/strings/str_cat.h"

namespace flotilla::notify {
namespace {

using postgres::Statement;
using postgres::Transaction;

constexpr std::int64_t kPages = 256;  // two megabytes
constexpr std::int64_t kDeliveries = 1000;

const Statement kHandledPages = {"handled_pages", "SELECT pg_relation_size('handled_event') / 8192"};
const Statement kPruneHandled = {"handled_prune", R"(
    DELETE FROM handled_event WHERE ctid >= $1::tid AND ctid < $2::tid
    AND handled_at < now() - $3::bigint * interval '1 microsecond')"};
const Statement kNotificationPages = {"notification_pages", "SELECT pg_relation_size('notification') / 8192"};
// What is still to be delivered, or stands in the delivery log, needs its words.
const Statement kPruneNotifications = {"notification_prune", R"(
    DELETE FROM notification n WHERE ctid >= $1::tid AND ctid < $2::tid
    AND occurred_at < now() - $3::bigint * interval '1 microsecond'
    AND NOT EXISTS (SELECT FROM endpoint e JOIN delivery d USING (endpoint_id)
                    WHERE e.user_id = n.user_id AND d.sequence = n.sequence))"};

// By number, which is the order of their making.
const Statement kOldDeliveries = {"delivery_old", R"(
    SELECT max(delivery_id), count(*) FROM (
      SELECT delivery_id, created_at FROM delivery WHERE delivery_id > $1 ORDER BY delivery_id LIMIT $2::int) AS d
    WHERE created_at < now() - $3::bigint * interval '1 microsecond')"};
const Statement kPruneDeliveries = {"delivery_prune", R"(
    DELETE FROM delivery WHERE delivery_id > $1 AND delivery_id <= $2
    AND created_at < now() - $3::bigint * interval '1 microsecond'
    AND (state <> 1 OR next_at < now() - $3::bigint * interval '1 microsecond'))"};

std::string PageStart(std::int64_t page) { return absl::StrCat("(", page, ",0)"); }

}  // namespace

absl::Status Pruner::PruneHandled(absl::Duration age, Pass& pass) {
  return PrunePages(kHandledPages, kPruneHandled, age, pass);
}

absl::Status Pruner::PruneNotifications(absl::Duration age, Pass& pass) {
  return PrunePages(kNotificationPages, kPruneNotifications, age, pass);
}

absl::Status Pruner::PrunePages(const Statement& count, const Statement& prune, absl::Duration age, Pass& pass) {
  return session_.Transact([&](Transaction& transaction) {
    const auto pages = transaction.Run(count)[0][0].as<std::int64_t>();
    const postgres::Rows deleted =
        transaction.Run(prune, PageStart(pass.next), PageStart(pass.next + kPages), absl::ToInt64Microseconds(age));
    pass = {.next = pass.next + kPages,
            .deleted = static_cast<std::int64_t>(deleted.affected_rows()),
            .end = pass.next + kPages >= pages};
    return absl::OkStatus();
  });
}

absl::Status Pruner::PruneDeliveries(absl::Duration age, Pass& pass) {
  return session_.Transact([&](Transaction& transaction) {
    const std::int64_t age_us = absl::ToInt64Microseconds(age);
    const postgres::Row old = transaction.Run(kOldDeliveries, pass.next, kDeliveries, age_us)[0];
    if (old[0].is_null()) {
      pass = {.next = pass.next, .deleted = 0, .end = true};
      return absl::OkStatus();
    }
    const auto last = old[0].as<std::int64_t>();
    const postgres::Rows deleted = transaction.Run(kPruneDeliveries, pass.next, last, age_us);
    pass = {.next = last,
            .deleted = static_cast<std::int64_t>(deleted.affected_rows()),
            .end = old[1].as<std::int64_t>() < kDeliveries};
    return absl::OkStatus();
  });
}

}  // namespace flotilla::notify
