// I4: events and their deliveries.
#include "checker/checker_fixture.h"

namespace flotilla::checker {
namespace {

std::vector<Bug> Bugs() {
  return {
      {"EventNeverHandled",
       4,
       {{"notify", "DELETE FROM handled_event WHERE event_id = '" + Uuid(1) + "/1'"}},
       "handled 0 times"},
      {"EventHandledTwice", 4, {{"notify", World::Handled(Uuid(1) + "/1")}}, "handled 2 times"},
      {"NotifiedTwice", 4, {{"notify", World::Notification("bob", 3, Uuid(2) + "/1")}}, "notified 2 times"},
      {"EffectIsLost", 4, {{"notify", "DELETE FROM notification WHERE event_id = '" + Uuid(5) + "/2'"}}, "notified 0"},
      {"GapInSequences",
       4,
       {{"notify", "UPDATE notification SET sequence = 3 WHERE user_id = 'bob' AND sequence = 2"}},
       "notifications 1 to 3, 2 of them"},
      {"GhostEvent",
       4,
       {{"notify", World::Handled(Uuid(7) + "/1") + World::Notification("bob", 3, Uuid(7) + "/1")}},
       "handled but does not exist"},
      {"LowStockNeverHandled",
       4,
       {{"notify",
         "DELETE FROM handled_event WHERE event_id LIKE 'inventory:%'; DELETE FROM notification WHERE "
         "event_id LIKE 'inventory:%'"}},
       "/1: handled 0 times"},
      {"LowStockToldTwice",
       4,
       {{"notify", World::News(2, absl::StrCat("inventory:", kPear, "/1"))}},
       "handled 1 times, notified 2 times"},
      {"PaymentHandledTwice",
       4,
       {{"notify", World::Handled("payment:a/1") + World::Handled("payment:a/1")}},
       "event payment:a/1: handled 2 times"},
      {"GhostOfAPayment", 4, {{"notify", World::Handled("payment:b/1")}}, "payment:b/1: handled but does not exist"},
      {"ToldToAnother",
       4,
       {{"notify", "UPDATE notification SET user_id = 'erin' WHERE user_id = 'bob'"}},
       "notified to erin, not to bob"},
  };
}

INSTANTIATE_TEST_SUITE_P(Events, PlantedBug, testing::ValuesIn(Bugs()), NameOfBug);

}  // namespace
}  // namespace flotilla::checker
