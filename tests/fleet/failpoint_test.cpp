// kill -9 at every named place that the ways of an order pass (libs/failpoint), then a restart and the checker. The
// places are not listed here: a first run has them logged. By default only those on the way of a new order, with one
// check for each service; with FLOTILLA_FAULT_SUITE=all every place, each with a check of its own.
#include <cstdlib>
#include <iostream>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "fleet/fleet.h"
#include "fleet/load.h"
#include "gtest/gtest.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

constexpr int kBuyers = 8;
const char* const kInstances[] = {"order-1", "inventory-1", "payment-1", "notify-1"};

bool All() {
  const char* suite = std::getenv("FLOTILLA_FAULT_SUITE");
  return suite != nullptr && std::string(suite) == "all";
}

bool IsChosen(const std::string& place) {
  return All() || !absl::StartsWith(place, "saga.") || absl::StartsWith(place, "saga.create.");
}

// Every service runs once more with this flag.
void RestartAll(Fleet& fleet, const std::string& failpoints) {
  for (const char* instance : kInstances) {
    fleet.Kill(instance);
    fleet.Restart(instance, {"--failpoints=" + failpoints});
  }
  for (const char* instance : kInstances) fleet.WaitServing(instance);
}

// The places that an instance has logged.
std::set<std::string> Reached(const Fleet& fleet, const std::string& instance) {
  std::set<std::string> names;
  const std::string log = fleet.Log(instance);
  for (const absl::string_view line : absl::StrSplit(log, '\n')) {
    constexpr absl::string_view kBegin = "\"message\":\"failpoint\",\"name\":\"";
    const std::size_t begin = line.find(kBegin);
    if (begin == absl::string_view::npos) continue;
    const absl::string_view rest = line.substr(begin + kBegin.size());
    names.emplace(rest.substr(0, rest.find('"')));
  }
  return names;
}

class Failpoint : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    fleet = new Fleet({.bin = TestFailpointBin()});
    const std::map<std::string, std::vector<std::string>> flags = {
        {"payment", {absl::StrCat("--provider_secrets=", kLoadProviderSecret)}},
        {"order", {"--payment_window=2s"}},
        {"inventory", {}},
        {"notify", {}}};
    for (const auto& [service, extra] : flags) fleet->Start(service, extra);
    for (const char* instance : kInstances) fleet->WaitServing(instance);
    Load::Prepare(*fleet, kBuyers);
  }
  static void TearDownTestSuite() {
    delete fleet;
    fleet = nullptr;
  }

  // An attempt of a step fails, so that what is done then is reached, too.
  static constexpr char kTrouble[] = ";saga.create.charge.before=error@3";

  // Lets the instance die at each of its places in turn.
  static void KillEverywhere(const std::string& instance) {
    RestartAll(*fleet, absl::StrCat("*=trace", kTrouble));
    {
      Load load(*fleet, {"order-1"}, kBuyers, 2000, Flows::kAll);
      ASSERT_TRUE(load.Progresses(200));
    }
    const std::set<std::string> places = Reached(*fleet, instance);
    ASSERT_GE(places.size(), 2u);
    int kills = 0;
    for (const std::string& place : places) {
      if (!IsChosen(place)) continue;
      SCOPED_TRACE(place);
      fleet->Kill(instance);
      fleet->Restart(instance, {absl::StrCat("--failpoints=", place, "=crash", kTrouble)});
      {
        Load load(*fleet, {"order-1"}, kBuyers, 2000, Flows::kAll);
        EXPECT_TRUE(Eventually([&] { return !fleet->process(instance).alive(); })) << "was not reached";
        fleet->Kill(instance);
        fleet->Restart(instance);
        fleet->WaitServing(instance);
        EXPECT_TRUE(load.Progresses(20));
      }
      ++kills;
      if (All()) {
        const std::string violations = fleet->Check();
        ASSERT_EQ(violations, "");
      }
    }
    EXPECT_EQ(fleet->Check(), "");
    std::cout << instance << ": killed at " << kills << " of " << places.size() << " places\n";
    if (instance != "order-1") return;
    // Of every step of every saga, there and back.
    for (const char* step : {"create.charge", "create.confirm", "create.undo_charge", "create.undo_reserve",
                             "create.decide", "create.finish", "cancel.refund", "cancel.return_stock", "cancel.finish",
                             "open_payment.payment", "open_payment.finish", "complete_payment.confirm",
                             "complete_payment.finish", "refund.refund", "refund.return_stock", "refund.finish"}) {
      for (const char* when : {".before", ".after"}) {
        EXPECT_TRUE(places.contains(std::string("saga.") + step + when)) << step << when;
      }
    }
  }
  static inline Fleet* fleet = nullptr;
};

TEST_F(Failpoint, KilledAtEveryPlaceOfOrder) { KillEverywhere("order-1"); }
TEST_F(Failpoint, KilledAtEveryPlaceOfInventory) { KillEverywhere("inventory-1"); }
TEST_F(Failpoint, KilledAtEveryPlaceOfPayment) { KillEverywhere("payment-1"); }
TEST_F(Failpoint, KilledAtEveryPlaceOfNotify) { KillEverywhere("notify-1"); }

// The fifth time a place is reached it fails, the ninth time its reply is lost.
TEST_F(Failpoint, ErrorsAndLostRepliesEverywhere) {
  RestartAll(*fleet, "*=error@5;*=lost@9;*=lost@40;*=error@41");
  {
    Load load(*fleet, {"order-1"}, kBuyers, 2000, Flows::kAll);
    EXPECT_TRUE(load.Progresses(500));
  }
  EXPECT_EQ(fleet->Check(), "");
}

}  // namespace
}  // namespace flotilla::fleet
