// A consistent little fleet passes; every planted bug is caught, by its own promise alone. The bugs stand in the file
// of their promise.
#include "checker/checker_fixture.h"

namespace flotilla::checker {
namespace {

using testing::HasSubstr;

TEST_F(CheckerTest, SoundFleetPasses) {
  EXPECT_THAT(Violated(), testing::IsEmpty()) << text_;
  EXPECT_EQ(text_,
            "I1 ok: 2 SKUs\n"
            "I2 ok: 19 transfers, 6 calls of clients\n"
            "I3 ok: 5 keys of the client log\n"
            "I4 ok: 12 events, 1 of inventory, 1 of payment\n"
            "I5 ok: 5 orders\n"
            "I6 ok: 5 orders\n"
            "I7 ok: 0 running, 0 parked\n"
            "I8 ok: 5 orders, 12 events\n");
  options_.quiescent = false;
  EXPECT_THAT(Violated(), testing::IsEmpty()) << text_;
}

TEST_F(CheckerTest, WhatIsNotGivenIsSkipped) {
  options_.inventory_postgres.clear();
  options_.notify_postgres.clear();
  options_.client_log.clear();
  EXPECT_THAT(Violated(), testing::IsEmpty()) << text_;
  EXPECT_THAT(text_, HasSubstr("I1 skipped: no --inventory_postgres"));
  EXPECT_THAT(text_, HasSubstr("I3 skipped: no --client_log"));
  EXPECT_THAT(text_, HasSubstr("I4 skipped: no --notify_postgres"));
  EXPECT_THAT(text_, HasSubstr("I6 skipped: no --inventory_postgres"));
  EXPECT_THAT(text_, HasSubstr("I8 ok"));
}

TEST_F(CheckerTest, UnreachableServersAreErrors) {
  const Options good = options_;
  options_.order_postgres = "postgresql://postgres@127.0.0.1:1/none?connect_timeout=2";
  EXPECT_EQ(Check(options_).status().code(), absl::StatusCode::kUnavailable);
  options_ = good;
  options_.redis = "127.0.0.1:1";
  EXPECT_EQ(Check(options_).status().code(), absl::StatusCode::kUnavailable);
  options_ = good;
  options_.client_log = "/nonexistent";
  EXPECT_EQ(Check(options_).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(CheckerTest, RunningFleetMayHaveWorkUnderWay) {
  options_.quiescent = false;
  Plant("order", "INSERT INTO saga (type, id, version, data, owner, lease_until) VALUES ('create', '" + Uuid(1) +
                     "', 1, '', 'me', now())");
  Plant("notify", "DELETE FROM handled_event WHERE event_id = '" + Uuid(1) +
                      "/2'; DELETE FROM notification WHERE "
                      "event_id = '" +
                      Uuid(5) + "/2'; DELETE FROM handled_event WHERE event_id = '" + Uuid(5) + "/2'");
  Plant("notify", "INSERT INTO handled_event (event_id) VALUES ('" + Uuid(1) + "/2')");
  SetGate(kApple, 1000);
  EXPECT_THAT(Violated(), testing::IsEmpty()) << text_;
  SetGate(kApple, Available()[kApple]);
}

}  // namespace

TEST_P(PlantedBug, IsCaught) {
  for (const auto& [service, damage] : GetParam().damage) {
    if (service == "log") {
      WriteLog(GoodLog() + damage);
    } else {
      Plant(service, damage);
    }
  }
  EXPECT_THAT(Violated(), testing::ElementsAre(GetParam().promise)) << text_;
  EXPECT_THAT(text_, HasSubstr(absl::StrCat("I", GetParam().promise, " VIOLATED")));
  EXPECT_THAT(text_, HasSubstr(GetParam().says));
}

namespace {

TEST(ReportTest, KeepsTheFirstTen) {
  Report report;
  for (int i = 1; i <= 1234; ++i) report.Violate(Promise::kStock, absl::StrCat("v", i));
  report.Judged(Promise::kLedger, 1234567, "transfers");
  EXPECT_THAT(report.ToString(), HasSubstr("I1 VIOLATED: v1; v2; v3; v4; v5; v6; v7; v8; v9; v10; and 1,224 more\n"));
  EXPECT_THAT(report.ToString(), HasSubstr("I2 ok: 1,234,567 transfers\n"));
  EXPECT_EQ(WithCommas(-1000), "-1,000");
  EXPECT_EQ(WithCommas(-100), "-100");
}

TEST(FactsTest, IdsThereAndBack) {
  EXPECT_EQ(ToString(ParseId("01234567-89ab-cdef-0123-456789abcdef")), "01234567-89ab-cdef-0123-456789abcdef");
  EXPECT_EQ(ParseId("01234567-89ab-cdef-0123-456789abcdeg"), 0);
  EXPECT_EQ(ParseId("01234567"), 0);
}

}  // namespace
}  // namespace flotilla::checker
