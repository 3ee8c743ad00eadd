// When charges are settled: so long after their orders' completion. Pure functions.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "payment/domain/account.h"

namespace flotilla::payment {

// How an order stands, as far as its money is concerned. Values as stored; never renumber.
enum class Standing : int {
  kComplete = 1,
  kUnderWay = 2,  // not complete yet, or being refunded or cancelled
  kEnded = 3,     // without a sale: its charge is, or should be, given back
  kUnknown = 4,   // there is no such order
};

// A charge that is neither given back nor settled.
struct Unsettled {
  std::string order_id;
  std::string user_id;
  absl::Time charged_at;
  int asked = 0;  // how often about its order, since it waits
};

struct OrderWord {
  Standing standing = Standing::kUnknown;
  absl::Time completed_at = absl::InfinitePast();  // of kComplete
  Money total = {};                                // to be paid
  std::int64_t refunded = 0;                       // of that
};

// A charge that is not to be settled yet, and when to ask about its order again.
struct SettlementWait {
  Unsettled charge;
  Standing standing = Standing::kUnknown;
  absl::Time ask_at;
};

struct SettlementPlan {
  std::vector<std::string> settle;  // order ids
  std::vector<SettlementWait> wait;
};

inline constexpr absl::Duration kFirstAskAgain = absl::Seconds(2);  // doubling with every question
inline constexpr absl::Duration kLastAskAgain = absl::Minutes(10);

// What is said of charges whose orders nobody is asked about.
std::vector<OrderWord> CompleteSinceTheirCharge(std::span<const Unsettled> charges);

// `words`: one for each charge. What is complete is settled once `after` has passed since its completion. It counts as
// complete no sooner than it was charged: the two times are of two databases' clocks.
SettlementPlan PlanSettlement(std::span<const Unsettled> charges, std::span<const OrderWord> words,
                              absl::Duration after, absl::Time now);

}  // namespace flotilla::payment
