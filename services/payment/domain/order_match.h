// Comparing what the ledger keeps of an order's money with what order says of it (I6). Pure functions.
//
// The two are read one after the other, and a saga may be between them: what differs is told only when a second look,
// some time later, finds the same. It is looked at until it agrees or an operator has dismissed it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "payment/domain/reconciliation.h"
#include "payment/domain/settlement_plan.h"

namespace flotilla::payment {

// Of an order, by its charge; nothing was taken where there is none.
struct KeptMoney {
  std::string currency = {};
  std::int64_t captured = 0;
  std::int64_t refunded = 0;
  std::string reference = {};  // of the external provider
};

struct Mismatch {
  DifferenceClass kind_of = DifferenceClass::kOrderMissing;
  std::int64_t theirs = 0;  // what the order says, in minor units
  std::int64_t ours = 0;
  std::string currency = {};
  bool operator==(const Mismatch&) const = default;
};

// An order that is to be compared.
struct OrderLook {
  std::string order_id;
  std::string user_id;
  // By looks before this one.
  int looks = 0;
  std::optional<Mismatch> suspected = {};
  bool dismissed = false;  // an operator has dismissed just that
  absl::Time since = absl::InfiniteFuture();
};

struct OrderVerdict {
  bool under_way = false;
  std::optional<Mismatch> mismatch = {};
};

OrderVerdict Match(const KeptMoney& kept, const OrderWord& word);

struct MatchPlan {
  struct Wait {
    OrderLook look;  // with what is suspected now
    absl::Time look_at;
    std::string reference;
    bool confirmed = false;  // to be told, as the same was found before
  };
  std::vector<std::string> over;  // order ids: they agree, or an operator has seen to it
  std::vector<Wait> wait;
};

inline constexpr absl::Duration kFirstLookAgain = absl::Seconds(2);  // doubling with every look
inline constexpr absl::Duration kUnfinishedAfter = absl::Hours(1);

// `kept` and `words`: one for each look. `every`: the longest pause between two looks.
MatchPlan PlanMatch(std::span<const OrderLook> looks, std::span<const KeptMoney> kept, std::span<const OrderWord> words,
                    absl::Duration every, absl::Time now);

}  // namespace flotilla::payment
