#include "payment/domain/order_match.h"

#include <algorithm>

namespace flotilla::payment {
namespace {

absl::Duration LookAgainAfter(int looks, absl::Duration every) {
  constexpr int kMostDoublings = 20;
  return std::min(kFirstLookAgain * (1 << std::min(looks, kMostDoublings)), every);
}

std::optional<Mismatch> MatchSale(const KeptMoney& kept, const OrderWord& word) {
  const std::string& currency = word.total.currency;
  const std::int64_t total = word.total.minor_units;
  const std::int64_t expected = total - word.refunded;
  const std::int64_t left = kept.captured - kept.refunded;
  if (left == 0 && expected == 0) return std::nullopt;
  if (left == 0) return Mismatch{DifferenceClass::kOrderNotCharged, expected, 0, currency};
  const auto differs = [&](std::int64_t theirs, std::int64_t ours) {
    return Mismatch{DifferenceClass::kOrderAmountDiffers, theirs, ours, currency};
  };
  if (kept.currency != currency) {  // told in the one that it has any of
    if (expected == 0) return Mismatch{DifferenceClass::kOrderAmountDiffers, 0, left, kept.currency};
    return differs(expected, 0);
  }
  if (kept.captured != total) return differs(total, kept.captured);
  if (left != expected) return differs(expected, left);
  return std::nullopt;
}

// What a look that has been waiting finds where its order is still under way.
std::optional<Mismatch> Unfinished(const OrderLook& look, const KeptMoney& kept, absl::Time now) {
  const std::int64_t left = kept.captured - kept.refunded;
  if (left == 0 || look.since + kUnfinishedAfter > now) return std::nullopt;
  return Mismatch{DifferenceClass::kOrderUnfinished, 0, left, kept.currency};
}

}  // namespace

OrderVerdict Match(const KeptMoney& kept, const OrderWord& word) {
  const std::int64_t left = kept.captured - kept.refunded;
  const auto nothing_expected = [&](DifferenceClass kind_of) -> OrderVerdict {
    if (left == 0) return {};
    return {.mismatch = Mismatch{kind_of, 0, left, kept.currency}};
  };
  switch (word.standing) {
    case Standing::kComplete:
      return {.mismatch = MatchSale(kept, word)};
    case Standing::kUnderWay:
      return {.under_way = true};
    case Standing::kEnded:
      return nothing_expected(DifferenceClass::kOrderNotRefunded);
    case Standing::kUnknown:
      return nothing_expected(DifferenceClass::kOrderMissing);
  }
  return {};
}

MatchPlan PlanMatch(std::span<const OrderLook> looks, std::span<const KeptMoney> kept, std::span<const OrderWord> words,
                    absl::Duration every, absl::Time now) {
  MatchPlan plan;
  for (std::size_t i = 0; i < looks.size(); ++i) {
    OrderVerdict verdict = Match(kept[i], words[i]);
    if (verdict.under_way) verdict.mismatch = Unfinished(looks[i], kept[i], now);
    const bool again = verdict.mismatch.has_value() && verdict.mismatch == looks[i].suspected;
    if ((!verdict.under_way && !verdict.mismatch.has_value()) || (again && looks[i].dismissed)) {
      plan.over.push_back(looks[i].order_id);
      continue;
    }
    MatchPlan::Wait wait{.look = looks[i],
                         .look_at = now + LookAgainAfter(looks[i].looks, every),
                         .reference = kept[i].reference,
                         .confirmed = again};
    wait.look.suspected = std::move(verdict.mismatch);
    plan.wait.push_back(std::move(wait));
  }
  return plan;
}

}  // namespace flotilla::payment
