#include "payment/domain/settlement_plan.h"

#include <algorithm>

namespace flotilla::payment {
namespace {

absl::Duration AskAgainAfter(int asked) {
  constexpr int kMostDoublings = 20;
  return std::min(kFirstAskAgain * (1 << std::min(asked, kMostDoublings)), kLastAskAgain);
}

}  // namespace

std::vector<OrderWord> CompleteSinceTheirCharge(std::span<const Unsettled> charges) {
  std::vector<OrderWord> words;
  words.reserve(charges.size());
  for (const Unsettled& charge : charges) words.push_back({Standing::kComplete, charge.charged_at});
  return words;
}

SettlementPlan PlanSettlement(std::span<const Unsettled> charges, std::span<const OrderWord> words,
                              absl::Duration after, absl::Time now) {
  SettlementPlan plan;
  for (std::size_t i = 0; i < charges.size(); ++i) {
    const Unsettled& charge = charges[i];
    absl::Time ask_at = now + AskAgainAfter(charge.asked);
    if (words[i].standing == Standing::kComplete) {
      const absl::Time due = std::max(words[i].completed_at, charge.charged_at) + after;
      if (due <= now) {
        plan.settle.push_back(charge.order_id);
        continue;
      }
      ask_at = due;
    }
    plan.wait.push_back({charge, words[i].standing, ask_at});
  }
  return plan;
}

}  // namespace flotilla::payment
