// For the tests of what asks the order service: it is played by words that can be changed at any time.
#pragma once

#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "payment/store/store_fixture.h"
#include "payment/workflow/order_words.h"

namespace flotilla::payment {

class OrderSays {
 public:
  void Set(const std::string& order, const OrderWord& word) {
    std::lock_guard lock(mutex_);
    words_[order] = word;
  }
  // The same, and it is told as ended.
  void End(const std::string& order, const OrderWord& word) {
    std::lock_guard lock(mutex_);
    words_[order] = word;
    log_.push_back({order, "ursula"});
  }
  void SetAway(bool away) {
    std::lock_guard lock(mutex_);
    away_ = away;
  }
  int asked() {
    std::lock_guard lock(mutex_);
    return asked_;
  }
  template <class Item>
  absl::StatusOr<std::vector<OrderWord>> Ask(std::span<const Item> items) {
    std::lock_guard lock(mutex_);
    ++asked_;
    EXPECT_LE(items.size(), 1000u);
    if (away_) return absl::UnavailableError("away");
    std::vector<OrderWord> words;
    for (const Item& item : items) words.push_back(words_[item.order_id]);
    return words;
  }
  absl::StatusOr<EndedOrders> List(const std::string& token) {
    std::lock_guard lock(mutex_);
    if (away_) return absl::UnavailableError("away");
    const auto first = static_cast<std::ptrdiff_t>(token.empty() ? 0 : std::stoul(token));
    return EndedOrders{{log_.begin() + first, log_.end()}, std::to_string(log_.size())};
  }

 private:
  std::mutex mutex_;
  std::map<std::string, OrderWord> words_;
  std::vector<EndedOrder> log_;
  bool away_ = false;
  int asked_ = 0;
};

class OrderTest : public StoreTest {
 protected:
  // The id of an order of 100 that was charged.
  std::string Charged(const OrderWord& word) {
    const std::string order = NewOrder();
    says_.Set(order, word);
    EXPECT_EQ(Charge({order, user_, {"EUR", 100}}).outcome, ChargeOutcome::kCharged);
    return order;
  }
  OrderSays says_;
  const std::string user_ = User(100'000);
};

}  // namespace flotilla::payment
