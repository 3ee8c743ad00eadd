#include "order/store/completion_store.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "order/store/schema.h"
#include "postgres/test_database.h"

namespace flotilla::order {
namespace {

class CompletionStoreTest : public testing::Test {
 protected:
  CompletionStoreTest() {
    EXPECT_EQ(postgres::Migrate(database_.options(), Schema(), absl::Seconds(10)), absl::OkStatus());
  }
  // Last changed at second 100.
  OrderKey Stored(State state) {
    OrderKey key{"anna", OrderId("anna", absl::StrCat("k", ++orders_))};
    database_.Query(absl::StrCat(
        "INSERT INTO orders (user_id, order_id, idempotency_key, body_hash, state, skus, quantities, unit_prices, "
        "currency, total, version, created_at, updated_at) VALUES ('anna', '",
        key.order_id, "', 'k", orders_, "', '', ", static_cast<int>(state),
        ", '{}', '{}', '{}', 'EUR', 10, 2, to_timestamp(1), to_timestamp(100))"));
    return key;
  }
  void Refunded(const OrderKey& key, int number, int second) {
    database_.Query(absl::StrCat("INSERT INTO order_refund VALUES ('anna', '", key.order_id, "', 'r", number,
                                 "', 1, false, to_timestamp(", second, "))"));
  }
  postgres::TestDatabase database_;
  CompletionStore store_{database_.options()};
  int orders_ = 0;
};

TEST_F(CompletionStoreTest, OnlyASaleThatStandsIsComplete) {
  std::vector<OrderKey> keys;
  for (int state = 1; state <= 8; ++state) keys.push_back(Stored(static_cast<State>(state)));
  const auto completions = store_.Read(keys);
  ASSERT_TRUE(completions.ok()) << completions.status();
  for (int state = 1; state <= 8; ++state) {
    const auto& completion = (*completions)[static_cast<std::size_t>(state - 1)];
    ASSERT_TRUE(completion.has_value());
    EXPECT_EQ(completion->state, static_cast<State>(state));
    const bool complete = state == 2 || state == 8;
    EXPECT_EQ(completion->completed_at, complete ? absl::FromUnixSeconds(100) : absl::InfinitePast()) << state;
  }
}

TEST_F(CompletionStoreTest, ALaterRefundDoesNotMoveTheCompletion) {
  const OrderKey key = Stored(State::kPartiallyRefunded), other = Stored(State::kPartiallyRefunded);
  Refunded(key, 1, 40);
  Refunded(key, 2, 90);
  Refunded(other, 1, 101);
  const auto completions = store_.Read(std::vector{key, other});
  EXPECT_EQ((*completions)[0]->completed_at, absl::FromUnixSeconds(40));
  EXPECT_EQ((*completions)[1]->completed_at, absl::FromUnixSeconds(100));
}

TEST_F(CompletionStoreTest, AnswersInTheOrderOfTheQuestionsAndKnowsNobodyElses) {
  const OrderKey key = Stored(State::kPaid);
  const auto completions =
      store_.Read(std::vector<OrderKey>{{"thief", key.order_id}, key, {"anna", OrderId("anna", "none")}, key});
  ASSERT_EQ(completions->size(), 4u);
  EXPECT_FALSE((*completions)[0].has_value());
  EXPECT_TRUE((*completions)[1].has_value());
  EXPECT_FALSE((*completions)[2].has_value());
  EXPECT_TRUE((*completions)[3].has_value());
}

}  // namespace
}  // namespace flotilla::order
