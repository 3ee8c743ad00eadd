// I8: the event log of an order.
#include "absl/strings/str_replace.h"
#include "checker/checker_fixture.h"

namespace flotilla::checker {
namespace {

std::vector<Bug> Bugs() {
  return {
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
