// I8: the event log of an order.
#include "absl/strings/str_replace.h"
#include "checker/checker_fixture.h"

namespace flotilla::checker {
namespace {

// A part of the log was dropped that ended so long after (or, negative, before) the orders were written.
std::string Dropped(const std::string& after) {
  return "INSERT INTO event_part (name, ends_at, dropped_at) VALUES ('event_old', now() + interval '" + after +
         "', now());";
}

std::string Forget(const TestOrder& order, int sequence) {
  return absl::StrCat("DELETE FROM event WHERE event_id = '", order.id(), "/", sequence, "';");
}

// Databases older than the log's retention are judged from the first event that is kept.
TEST_F(CheckerTest, WhatTheLogHasDroppedIsNotMissed) {
  Plant("order", Dropped("1 hour") + Forget(kAgain, 1) + Forget(kBob, 1) + Forget(kBob, 2) + Forget(kCarol, 1) +
                     Forget(kCarol, 2));
  Plant("inventory", Dropped("1 hour") + "DELETE FROM event");
  Plant("payment", Dropped("1 hour") + "DELETE FROM event");
  EXPECT_THAT(Violated(), testing::IsEmpty()) << text_;
}

std::vector<Bug> Bugs() {
  return {
      {"GapInACutLog",
       8,
       {{"order", Dropped("1 hour") + Forget(kCarol, 1) + Forget(kCarol, 3)},
        {"notify", "DELETE FROM handled_event WHERE event_id LIKE '" + Uuid(3) +
                       "/%'; DELETE FROM notification WHERE user_id = 'carol';" + World::Handled(Uuid(3) + "/2") +
                       World::Notification("carol", 1, Uuid(3) + "/2") + World::Handled(Uuid(3) + "/4") +
                       World::Notification("carol", 2, Uuid(3) + "/4")}},
       "event 3 is missing"},
      {"EndOfACutLog", 8, {{"order", Dropped("1 hour") + Forget(kCarol, 1) + Forget(kCarol, 4)}}, "it has 3 events"},
      {"YoungerThanTheCut",
       8,
       {{"order", Dropped("-1 hour") + Forget(kAgain, 1)},
        {"notify", "DELETE FROM handled_event WHERE event_id = '" + Uuid(5) +
                       "/1'; DELETE FROM notification WHERE user_id = 'alice';" +
                       World::Notification("alice", 1, Uuid(1) + "/1") +
                       World::Notification("alice", 2, Uuid(1) + "/2") +
                       World::Notification("alice", 3, Uuid(5) + "/2")}},
       "event 1 is missing"},
      {"EventIsMissing",
       8,
       {{"order", "UPDATE event SET sequence = 3, event_id = '" + Uuid(5) + "/3' WHERE event_id = '" + Uuid(5) + "/2'"},
        {"notify", "UPDATE handled_event SET event_id = '" + Uuid(5) + "/3' WHERE event_id = '" + Uuid(5) +
                       "/2'; UPDATE notification SET event_id = '" + Uuid(5) + "/3' WHERE event_id = '" + Uuid(5) +
                       "/2'"}},
       "event 2 is missing"},
      {"NoEvents",
       8,
       {{"order", "DELETE FROM event WHERE stream_id = '" + Uuid(4) + "'"},
        {"notify", "DELETE FROM handled_event WHERE event_id LIKE '" + Uuid(4) +
                       "/%'; DELETE FROM notification WHERE user_id = 'dave'"}},
       "has no events"},
      {"EventsWithoutOrder", 8, {{"order", "DELETE FROM orders" + WhereOrder(4)}}, "has events but no row"},
      {"TypeOfAnotherState", 8, {{"order", SetEvent(kAgain, 2, 2, "order.cancelled")}}, "is order.cancelled but"},
      {"IllegalTransition",
       8,
       {{"order", SetEvent(kCarol, 3, 3, "order.cancelled") + "UPDATE orders SET version = 3" + WhereOrder(3) +
                      "DELETE FROM event WHERE event_id = '" + Uuid(3) + "/4'"},
        {"notify", "DELETE FROM handled_event WHERE event_id = '" + Uuid(3) +
                       "/4'; DELETE FROM notification WHERE event_id = '" + Uuid(3) + "/4'"}},
       "goes from PAID to CANCELLED"},
      {"BeginsPaid",
       8,
       {{"order", "DELETE FROM event WHERE event_id = '" + Uuid(5) + "/2';" + SetEvent(kAgain, 1, 2, "order.paid") +
                      "UPDATE orders SET version = 1" + WhereOrder(5)},
        {"notify", kForget}},
       "goes from absent to PAID"},
      {"RowIsAhead", 8, {{"order", "UPDATE orders SET version = 3" + WhereOrder(5)}}, "version is 3, it has 2 events"},
      {"RowHasAnotherReason",
       8,
       {{"order", "UPDATE orders SET cancel_reason = 'WHIM'" + WhereOrder(2)}},
       "another cancel reason"},
      {"EventsOfOtherLines",
       8,
       {{"order", absl::StrReplaceAll(SetEvent(kAgain, 2, 2, "order.paid"),
                                      {{EventData(kAgain, 2, 2),
                                        EventData(TestOrder{5, "alice", "k2", {{kPear, 1, 200}}, {}, 0, 0}, 2, 2)}})}},
       "another list of lines"},
      {"UnreadableEvent",
       8,
       {{"order", "UPDATE event SET data = '\\xff' WHERE event_id = '" + Uuid(5) + "/2'"}},
       "cannot be read"},
  };
}

INSTANTIATE_TEST_SUITE_P(History, PlantedBug, testing::ValuesIn(Bugs()), NameOfBug);

}  // namespace
}  // namespace flotilla::checker
