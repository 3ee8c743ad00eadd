#include "order/workflow/overdue_payments.h"

#include <map>
#include <memory>
#include <mutex>

#include "order/workflow/external_fixture.h"
#include "testing/eventually.h"

namespace flotilla::order {
namespace {

using payment::v1::BatchGetPaymentsResponse;
using payment::v1::PaymentEvent;

// No event comes. The payment service is played by the test: what it says can be changed at any time.
class OverduePaymentsTest : public ExternalPaymentTest {
 protected:
  std::unique_ptr<OverduePayments> Run() {
    auto overdue = std::make_unique<OverduePayments>(
        OverduePayments::Options{.postgres = database.options(),
                                 .grace = absl::Minutes(1),
                                 .ask = [this](std::vector<std::string> ids) { return Ask(ids); },
                                 .period = absl::Milliseconds(10)},
        hub, clock);
    overdue->Start();
    return overdue;
  }
  absl::StatusOr<BatchGetPaymentsResponse> Ask(const std::vector<std::string>& ids) {
    std::lock_guard lock(mutex_);
    ++asked_;
    if (away_) return absl::UnavailableError("away");
    BatchGetPaymentsResponse response;
    for (const std::string& id : ids) {
      EXPECT_NE(id, young_) << "its time has not run out";
      auto* result = response.add_results();
      if (const auto it = says_.find(id); it != says_.end()) {
        result->set_state(it->second);
      } else {
        result->mutable_error()->set_code(static_cast<int>(absl::StatusCode::kNotFound));
      }
    }
    return response;
  }
  void Say(const std::string& order, payment::v1::PaymentState state) {
    std::lock_guard lock(mutex_);
    says_[order] = state;
  }
  void SetAway(bool away) {
    std::lock_guard lock(mutex_);
    away_ = away;
  }
  int asked() {
    std::lock_guard lock(mutex_);
    return asked_;
  }
  Order Overdue(const std::string& key, payment::v1::PaymentState state) {
    const Order order = Placed(key);
    Say(order.order_id, state);
    Opened(order, -absl::Minutes(2));
    return order;
  }
  State StateOf(const Order& order) {
    const OrderKey key{order.user_id, order.order_id};
    return (*orders.Read({&key, 1}))[0]->state;
  }
  std::int64_t Sagas(const Order& order, const std::string& type) {
    return std::stoll(
        database.Query("SELECT count(*) FROM saga WHERE type = '" + type + "' AND id = '" + order.order_id + "'"));
  }
  std::string young_;

 private:
  std::mutex mutex_;
  std::map<std::string, payment::v1::PaymentState> says_;
  bool away_ = false;
  int asked_ = 0;
};

TEST_F(OverduePaymentsTest, GoOnByWhatPaymentAnswers) {
  const Order young = Placed("young");
  young_ = young.order_id;
  Opened(young, absl::ZeroDuration());
  const Order awaiting = Overdue("awaiting", payment::v1::PAYMENT_STATE_AWAITING),
              paid = Overdue("paid", payment::v1::PAYMENT_STATE_SUCCEEDED),
              failed = Overdue("failed", payment::v1::PAYMENT_STATE_FAILED),
              expired = Overdue("expired", payment::v1::PAYMENT_STATE_EXPIRED);
  const auto one = Run(), other = Run();
  EXPECT_TRUE(Eventually([&] { return StateOf(paid) == State::kReserved; }));
  EXPECT_TRUE(Eventually([&] { return StateOf(failed) == State::kCancelling; }));
  EXPECT_TRUE(Eventually([&] { return StateOf(expired) == State::kCancelling; }));
  EXPECT_EQ(Begun(paid), 1);
  EXPECT_EQ(Sagas(failed, kCancel), 1);
  EXPECT_EQ(Sagas(expired, kCancel), 1);
  // Payment has not ended this one yet.
  const int asked = this->asked();
  EXPECT_TRUE(Eventually([&] { return this->asked() > asked + 2; }));
  EXPECT_EQ(StateOf(awaiting), State::kAwaitingPayment);
  EXPECT_EQ(StateOf(young), State::kAwaitingPayment);
  Say(awaiting.order_id, payment::v1::PAYMENT_STATE_EXPIRED);
  EXPECT_TRUE(Eventually([&] { return StateOf(awaiting) == State::kCancelling; }));
  // The event comes after all, and waits for the end of what was begun.
  EXPECT_TRUE(absl::IsFailedPrecondition(intake.Apply(std::vector{Paid(paid)})));
  EXPECT_EQ(Begun(paid), 1);
}

TEST_F(OverduePaymentsTest, WaitWhilePaymentIsAway) {
  SetAway(true);
  const Order paid = Overdue("paid", payment::v1::PAYMENT_STATE_SUCCEEDED);
  const auto overdue = Run();
  EXPECT_TRUE(Eventually([&] { return asked() > 2; }));
  EXPECT_EQ(StateOf(paid), State::kAwaitingPayment);
  SetAway(false);
  EXPECT_TRUE(Eventually([&] { return Begun(paid) == 1; }));
}

TEST(OverduePayments, EachAnswerIsAnEventOrNone) {
  BatchGetPaymentsResponse::Result result;
  const auto kind = [&](payment::v1::PaymentState state) {
    result.set_state(state);
    return KindOf(result);
  };
  EXPECT_EQ(kind(payment::v1::PAYMENT_STATE_AWAITING), std::nullopt);
  EXPECT_EQ(kind(payment::v1::PAYMENT_STATE_SUCCEEDED), PaymentEvent::KIND_SUCCEEDED);
  EXPECT_EQ(kind(payment::v1::PAYMENT_STATE_FAILED), PaymentEvent::KIND_FAILED);
  EXPECT_EQ(kind(payment::v1::PAYMENT_STATE_GIVEN_BACK), PaymentEvent::KIND_FAILED);
  EXPECT_EQ(kind(payment::v1::PAYMENT_STATE_EXPIRED), PaymentEvent::KIND_EXPIRED);
  result.mutable_error()->set_code(static_cast<int>(absl::StatusCode::kNotFound));
  EXPECT_EQ(KindOf(result), PaymentEvent::KIND_EXPIRED);
  result.mutable_error()->set_code(static_cast<int>(absl::StatusCode::kInternal));
  EXPECT_EQ(KindOf(result), std::nullopt) << "that says nothing about the payment";
}

}  // namespace
}  // namespace flotilla::order
