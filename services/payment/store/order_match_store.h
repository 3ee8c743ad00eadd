// Which orders are to be compared with the ledger: those that the cursor comes to, by the journal or by the orders' own
// log, and those that are looked at again behind it. Blocking and single-threaded, like LedgerStore. Any number of
// instances share the work, as in settlement_store.h: an order that does not agree waits before the cursor has passed
// it, and what is done twice costs time only.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "payment/domain/order_match.h"
#include "postgres/session.h"

namespace flotilla::payment {

class OrderMatchStore {
 public:
  explicit OrderMatchStore(postgres::Options options);

  struct Cursor {
    std::string xid;  // empty: another instance has it
    std::int64_t transfer_id = 0;
    std::string order_token;
  };
  // What the journal has behind the cursor, and is at least so old.
  struct News {
    Cursor from;
    Cursor next;                         // where only the journal has been followed
    std::vector<std::string> order_ids;  // whose money was moved
  };
  // Takes the cursor for a while.
  absl::StatusOr<News> Claim(absl::Duration age, int limit);
  // The cursor moves on, if it is still where it was, and is free again: what does not agree waits from now on.
  absl::Status Advance(const Cursor& from, const Cursor& next, const MatchPlan& plan);
  // The cursor is free again, where it stands.
  absl::Status Free();

  // One for each id, and who was charged, where anybody was.
  struct Kept {
    KeptMoney money;
    std::string user_id;
  };
  absl::StatusOr<std::vector<Kept>> Read(std::span<const std::string> order_ids);

  // Orders whose turn it is at `now`, for a while: unless Keep says otherwise they have their next turn soon.
  absl::StatusOr<std::vector<OrderLook>> ClaimLooks(absl::Time now, int limit);
  // What becomes of these; returns how many differences are new.
  absl::StatusOr<std::int64_t> Keep(const MatchPlan& plan);

 private:
  postgres::Session session_;
};

}  // namespace flotilla::payment
