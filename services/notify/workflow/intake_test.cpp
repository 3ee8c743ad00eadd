#include "notify/workflow/intake.h"

#include "flotilla/order/v1/order_event.pb.h"
#include "gtest/gtest.h"
#include "notify/store/migrations.h"
#include "postgres/test_database.h"

namespace flotilla::notify {
namespace {

constexpr char kOrder[] = "00000000-0000-7000-8000-00000000000a";

events::Event Make(const std::string& type, std::int64_t version, const std::string& reason = "",
                   const std::string& user = "anna", const std::string& order_id = kOrder) {
  order::v1::OrderEvent data;
  data.mutable_order()->set_order_id(order_id);
  data.mutable_order()->set_user_id(user);
  data.mutable_order()->set_cancel_reason(reason);
  data.mutable_order()->set_version(version);
  return {.stream_id = order_id,
          .sequence = version,
          .type = type,
          .data = data.SerializeAsString(),
          .occurred_at = absl::FromUnixMicros(1'700'000'000'123'456)};
}

// Whatever the bytes are, they end up in the database and hold nothing up.
TEST(Intake, PoisonIsKeptApartOnceAndTheRestGoesOn) {
  const postgres::TestDatabase database;
  ASSERT_TRUE(postgres::Migrate(database.options(), Migrations(), absl::Seconds(10)).ok());
  std::vector<events::Event> events = {Make("order.paid", 1)};
  const auto poison = [&](auto change) {
    events::Event event = Make("order.paid", static_cast<std::int64_t>(events.size()) + 1);
    change(event);
    events.push_back(event);
  };
  const auto with = [](const std::string& user, const std::string& order_id, const std::string& reason) {
    return Make("", 1, reason, user, order_id).data;
  };
  poison([](auto& e) { e.data = std::string("\xff\0\x01 no protobuf", 14); });
  poison([](auto& e) { e.data = ""; });
  poison([&](auto& e) { e.data = with("a b", kOrder, ""); });
  poison([&](auto& e) { e.data = with("", kOrder, ""); });
  poison([&](auto& e) { e.data = with("anna", "7", ""); });
  poison([&](auto& e) { e.data = with("anna", kOrder, std::string("a\0b", 3)); });
  poison([](auto& e) { e.type = "\xff\xfe"; });
  poison([](auto& e) { e.type = ""; });
  poison([](auto& e) { e.occurred_at = absl::InfinitePast(); });
  poison([](auto& e) { e.occurred_at = absl::InfiniteFuture(); });
  poison([](auto& e) { e.stream_id = "\xff"; });
  poison([](auto& e) { e.sequence = 0; });
  poison([](auto& e) {
    e.stream_id = "";
    e.sequence = 0;
    e.data = "one";
  });
  poison([](auto& e) {
    e.stream_id = "";
    e.sequence = 0;
    e.data = "two";
  });
  const int poisoned = static_cast<int>(events.size()) - 1;
  events.push_back(Make("order.cancelled", 99, "{\"'\\,NULL"));

  const Origin origin;
  Intake intake(database.options(), "order", origin);
  for (int round = 0; round < 2; ++round) {
    const absl::Status status = intake.Apply(events);
    ASSERT_TRUE(status.ok()) << status;
  }
  EXPECT_EQ(database.Query("SELECT count(*) FROM notification"), "2");
  EXPECT_EQ(database.Query("SELECT text LIKE '%{\"''\\\\,NULL.' FROM notification WHERE sequence = 2"), "t");
  EXPECT_EQ(database.Query("SELECT count(*) FROM handled_event"), std::to_string(events.size()));
  EXPECT_EQ(database.Query("SELECT count(*) FROM dead_letter"), std::to_string(poisoned));
}

TEST(Intake, AnEventThatIsGivenUpIsALetterOnceAndAHandledOneIsNot) {
  const postgres::TestDatabase database;
  ASSERT_TRUE(postgres::Migrate(database.options(), Migrations(), absl::Seconds(10)).ok());
  const Origin origin;
  Intake intake(database.options(), "order", origin);
  const events::Event applied = Make("order.paid", 1), refused = Make("order.paid", 2);
  ASSERT_TRUE(intake.Apply({&applied, 1}).ok());
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(intake.Bury(applied, absl::InternalError("too late")).ok());
    EXPECT_TRUE(intake.Bury(refused, absl::InternalError(std::string("bad\0\xff", 5))).ok());
  }
  EXPECT_TRUE(intake.Apply({&refused, 1}).ok());
  EXPECT_EQ(database.Query("SELECT count(*) FROM dead_letter"), "1");
  EXPECT_EQ(database.Query("SELECT reason FROM dead_letter"), "bad\\x00\\xff");
  EXPECT_EQ(database.Query("SELECT count(*) FROM notification"), "1");
}

}  // namespace
}  // namespace flotilla::notify
