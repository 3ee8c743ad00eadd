#include "payment/api/convert.h"

#include <map>

#include "errors/errors.h"
#include "gtest/gtest.h"
#include "testing/status.h"

namespace flotilla::payment {
namespace {

constexpr char kOrder[] = "0190A1B2-0000-7000-8000-00000000000F";

v1::ChargeRequest Good() {
  v1::ChargeRequest request;
  request.set_order_id(kOrder);
  request.set_user_id("anna");
  request.mutable_amount()->set_currency_code("EUR");
  request.mutable_amount()->set_minor_units(5);
  return request;
}

TEST(Convert, ParsesAChargeAndLowersTheOrderId) {
  const auto command = Parse(Good());
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->order_id, "0190a1b2-0000-7000-8000-00000000000f");
  EXPECT_EQ(command->user_id, "anna");
  EXPECT_EQ(command->amount.currency, "EUR");
  EXPECT_EQ(command->amount.minor_units, 5);
}

TEST(Convert, NamesTheWrongField) {
  auto request = Good();
  request.set_order_id("0190a1b2-0000-7000-8000-00000000000g");
  EXPECT_EQ(Field(Parse(request).status()), "order_id");
  request = Good();
  request.set_user_id("anna smith");
  EXPECT_EQ(Field(Parse(request).status()), "user_id");
  request.set_user_id(std::string(65, 'a'));
  EXPECT_EQ(Field(Parse(request).status()), "user_id");
  request = Good();
  request.mutable_amount()->set_currency_code("eur");
  EXPECT_EQ(Field(Parse(request).status()), "amount.currency_code");
  request = Good();
  for (const std::int64_t amount : {std::int64_t{0}, std::int64_t{-1}, kMaxAmount + 1}) {
    request.mutable_amount()->set_minor_units(amount);
    EXPECT_EQ(Field(Parse(request, 2).status()), "requests[2].amount.minor_units") << amount;
  }
  v1::DepositRequest deposit;
  deposit.set_user_id("anna");
  *deposit.mutable_amount() = Good().amount();
  EXPECT_EQ(Field(Parse(deposit).status()), "deposit_id");
  deposit.set_deposit_id(std::string("a\0b", 3));
  EXPECT_EQ(Field(Parse(deposit).status()), "deposit_id");
  EXPECT_EQ(Field(ParseWallet("anna", "EURO").status()), "currency_code");
  EXPECT_EQ(Field(rpc::CheckBatch(0)), "requests");
  EXPECT_EQ(Field(rpc::CheckBatch(rpc::kMaxBatch + 1)), "requests");
  EXPECT_TRUE(rpc::CheckBatch(rpc::kMaxBatch).ok());
}

TEST(Convert, OutcomesHaveReasonsAProgramCanRead) {
  EXPECT_TRUE(ToStatus(ChargeOutcome::kCharged).ok());
  EXPECT_EQ(errors::Reason(ToStatus(ChargeOutcome::kInsufficientFunds)), "INSUFFICIENT_FUNDS");
  EXPECT_EQ(errors::Reason(ToStatus(ChargeOutcome::kVoided)), "CHARGE_VOIDED");
  EXPECT_EQ(errors::Reason(ToStatus(ChargeOutcome::kOtherUser)), "CHARGE_USER_MISMATCH");
  EXPECT_EQ(ToStatus(ChargeOutcome::kUnknownAccount).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(errors::Reason(ToStatus(DepositOutcome::kMismatch)), "IDEMPOTENCY_KEY_REUSED");
}

TEST(Convert, EveryRefusalOfAnActionHasAReasonOfItsOwn) {
  std::map<std::string, Outcome> seen;
  for (int i = static_cast<int>(Outcome::kDone) + 1; i <= static_cast<int>(Outcome::kEventReused); ++i) {
    const absl::Status status = ToStatus(static_cast<Outcome>(i));
    ASSERT_FALSE(status.ok()) << i;
    EXPECT_TRUE(seen.emplace(errors::Reason(status), static_cast<Outcome>(i)).second) << status;
  }
  EXPECT_FALSE(seen.contains(""));
}

TEST(Convert, AnAmountWithoutARefundIdIsRefused) {
  v1::RefundRequest request;
  request.set_order_id(kOrder);
  *request.mutable_amount() = Good().amount();
  EXPECT_EQ(Field(Parse(request).status()), "amount");
  request.set_refund_id("r 1");
  EXPECT_EQ(Field(Parse(request).status()), "refund_id");
  request.set_refund_id("r1");
  EXPECT_TRUE(Parse(request).ok());
}

// Whether a time has passed is for the rules to say, which know a repeat.
TEST(Convert, TimesThatHavePassedAreParsed) {
  const absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  v1::AuthorizeRequest request;
  request.set_order_id(kOrder);
  request.set_user_id("anna");
  *request.mutable_amount() = Good().amount();
  EXPECT_EQ(std::get<AuthorizeCommand>(*Parse(request, now)).expires_at, now + kDefaultExpiry);
  request.mutable_expire_time()->set_seconds(absl::ToUnixSeconds(now) - 1);
  EXPECT_EQ(std::get<AuthorizeCommand>(*Parse(request, now)).expires_at, now - absl::Seconds(1));
  EXPECT_EQ(Field(ToStatus(Outcome::kBadExpiry)), "expire_time");
  v1::CreatePaymentRequest payment;
  payment.set_order_id(kOrder);
  payment.set_user_id("anna");
  *payment.mutable_amount() = Good().amount();
  EXPECT_EQ(Field(Parse(payment).status()), "expire_time");
  *payment.mutable_expire_time() = request.expire_time();
  EXPECT_EQ(std::get<AwaitCommand>(*Parse(payment)).expires_at, now - absl::Seconds(1));
}

TEST(Convert, ARefundThatMovedNothingHasNoAmount) {
  EXPECT_FALSE(RefundResponse(ActionResult{}).has_amount());
  EXPECT_EQ(RefundResponse({.amount = {"EUR", 7}}).amount().minor_units(), 7);
}

}  // namespace
}  // namespace flotilla::payment
