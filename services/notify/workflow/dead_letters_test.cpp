#include "notify/workflow/dead_letters.h"

#include <atomic>
#include <thread>

#include "errors/errors.h"
#include "flotilla/order/v1/order_event.pb.h"
#include "gtest/gtest.h"
#include "notify/store/migrations.h"
#include "notify/workflow/intake.h"
#include "postgres/test_database.h"

namespace flotilla::notify {
namespace {

constexpr char kOrder[] = "00000000-0000-7000-8000-00000000000a";
constexpr char kId[] = "00000000-0000-7000-8000-00000000000a/1";

class DeadLettersTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(postgres::Migrate(database_.options(), Migrations(), absl::Seconds(10)).ok());
    order::v1::OrderEvent data;
    data.mutable_order()->set_order_id(kOrder);
    data.mutable_order()->set_user_id("anna");
    event_ = {.stream_id = kOrder,
              .sequence = 1,
              .type = "order.paid",
              .data = data.SerializeAsString(),
              .occurred_at = absl::FromUnixMicros(1'700'000'000'123'456)};
  }
  void Bury() {
    const Origin origin;
    Intake intake(database_.options(), "order", origin);
    ASSERT_TRUE(intake.Bury(event_, absl::InternalError("a bug of the day")).ok());
  }

  postgres::TestDatabase database_;
  events::Event event_;
};

TEST_F(DeadLettersTest, ARedeliveredEventHasItsEffectOnceWhoeverAsks) {
  Bury();
  std::atomic<int> done = 0, unknown = 0;
  std::vector<std::thread> operators;
  for (int i = 0; i < 4; ++i) {
    operators.emplace_back([&] {
      DeadLetterStore store(database_.options());
      const absl::Status status = Redeliver(store, kId);
      if (status.ok()) ++done;
      if (errors::Reason(status) == "UNKNOWN_DEAD_LETTER") ++unknown;
    });
  }
  for (auto& each : operators) each.join();
  EXPECT_EQ(done, 1);
  EXPECT_EQ(unknown, 3);
  // The stream brings it again, much later.
  const Origin origin;
  Intake intake(database_.options(), "order", origin);
  ASSERT_TRUE(intake.Apply({&event_, 1}).ok());
  EXPECT_EQ(database_.Query("SELECT count(*) FROM notification WHERE user_id = 'anna' AND event_id = '" +
                            std::string(kId) + "'"),
            "1");
  EXPECT_EQ(database_.Query("SELECT count(*) FROM dead_letter"), "0");
  EXPECT_EQ(database_.Query("SELECT count(*) FROM handled_event"), "1");
}

TEST_F(DeadLettersTest, WhatIsStillUnreadableStays) {
  event_.data = "no protobuf \xff";
  Bury();
  DeadLetterStore store(database_.options());
  const absl::Status status = Redeliver(store, kId);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_EQ(errors::Reason(status), "STILL_UNREADABLE");
  EXPECT_EQ(database_.Query("SELECT reason FROM dead_letter"), "a bug of the day");
  EXPECT_EQ(errors::Reason(Redeliver(store, "nobody/1")), "UNKNOWN_DEAD_LETTER");
}

}  // namespace
}  // namespace flotilla::notify
