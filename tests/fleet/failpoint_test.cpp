// kill -9 at every named place that the ways of an order pass (libs/failpoint), then a restart and the checker. The
// places are not listed here: a first run has them logged, and each one that a service declares must be among them. By
// default only those on the way of a new order, with one check for each service; with FLOTILLA_FAULT_SUITE=all every
// place, each with a check of its own.
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "async/stop_signal.h"
#include "fleet/fleet.h"
#include "fleet/load.h"
#include "flotilla/notify/v1/webhook_service.grpc.pb.h"
#include "gtest/gtest.h"
#include "notify/webhook/test_receiver.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

constexpr int kBuyers = 8;
const char* const kInstances[] = {"order-1", "inventory-1", "payment-1", "notify-1"};

bool All() {
  const char* suite = std::getenv("FLOTILLA_FAULT_SUITE");
  return suite != nullptr && std::string(suite) == "all";
}

// The same code registers every service. The settlement of a killed payment goes on once its lease of half a minute has
// ended; settlement_test kills there each time, also where it comes only to orders that happened to be complete late.
bool IsChosen(const std::string& instance, const std::string& place) {
  if (place == "settlement.turn" || place == "settlement.kept") return false;
  if (All() || absl::StartsWith(place, "saga.create.") || absl::StartsWith(place, "saga.claim.")) return true;
  if (absl::StrContains(place, "settle") || absl::StartsWith(place, "rpc.order.")) return false;
  return !absl::StartsWith(place, "saga.") && (instance == "order-1" || !absl::StartsWith(place, "etcd."));
}

// Every service runs once more with this flag.
void RestartAll(Fleet& fleet, const std::string& failpoints) {
  for (const char* instance : kInstances) {
    fleet.Kill(instance);
    fleet.Restart(instance, {"--failpoints=" + failpoints});
  }
  for (const char* instance : kInstances) fleet.WaitServing(instance);
}

constexpr char kReached[] = "failpoint", kDeclared[] = "failpoint declared";

// The places that an instance has logged.
std::set<std::string> Places(const Fleet& fleet, const std::string& instance, const char* message) {
  std::set<std::string> names;
  const std::string log = fleet.Log(instance);
  const std::string begin_of_name = absl::StrCat("\"message\":\"", message, "\",\"name\":\"");
  for (const absl::string_view line : absl::StrSplit(log, '\n')) {
    const std::size_t begin = line.find(begin_of_name);
    if (begin == absl::string_view::npos) continue;
    const absl::string_view rest = line.substr(begin + begin_of_name.size());
    names.emplace(rest.substr(0, rest.find('"')));
  }
  return names;
}

// Those that an instance has declared and not reached.
std::string Missing(const Fleet& fleet, const std::string& instance) {
  std::set<std::string> missing = Places(fleet, instance, kDeclared);
  for (const std::string& place : Places(fleet, instance, kReached)) missing.erase(place);
  return absl::StrJoin(missing, " ");
}

// Takes and adds a unit where stock becomes low by it, which is news, until it is destroyed.
class Shopkeeper {
 public:
  static void Prepare(Fleet& fleet) {
    inventory::v1::PutSkuRequest request;
    request.set_sku(kScarce);
    request.set_name("Scarce");
    request.mutable_price()->set_currency_code("EUR");
    request.mutable_price()->set_minor_units(10);
    request.set_initial_quantity(5);
    request.set_low_stock_threshold(4);
    inventory::v1::PutSkuResponse response;
    const Result result =
        Call(*fleet.inventory(), &inventory::v1::InventoryService::Stub::PutSku, "", request, &response);
    ASSERT_TRUE(result.status.ok()) << result;
  }

  explicit Shopkeeper(Fleet& fleet) : stub_(fleet.inventory()), thread_([this] { Keep(); }) {}
  ~Shopkeeper() {
    stop_.Set();
    thread_.join();
  }

 private:
  static constexpr char kScarce[] = "scarce";

  // One that fails is asked for again.
  void Keep() {
    static int number = 0;
    inventory::v1::AdjustStockRequest request;
    request.set_sku(kScarce);
    request.set_reason(inventory::v1::MOVEMENT_REASON_COUNT);
    do {
      request.set_delta(number % 2 == 0 ? -1 : 1);
      request.set_reference(absl::StrCat("count-", number));
      inventory::v1::AdjustStockResponse response;
      if (Call(*stub_, &inventory::v1::InventoryService::Stub::AdjustStock, "", request, &response).status.ok())
        ++number;
    } while (!stop_.WaitFor(absl::Milliseconds(50)));
  }

  const std::unique_ptr<inventory::v1::InventoryService::Stub> stub_;
  async::StopSignal stop_;
  std::thread thread_;
};

class Failpoint : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    fleet = new Fleet({.bin = TestFailpointBin()});
    const std::map<std::string, std::vector<std::string>> flags = {
        {"payment", {absl::StrCat("--provider_secrets=", kLoadProviderSecret), "--settle_after=1s"}},
        {"order", {"--payment_window=2s"}},
        {"inventory", {}},
        {"notify", {"--webhook_allow_private"}}};
    for (const auto& [service, extra] : flags) fleet->Start(service, extra);
    for (const char* instance : kInstances) fleet->WaitServing(instance);
    Load::Prepare(*fleet, kBuyers);
    Shopkeeper::Prepare(*fleet);
    for (int i = 0; i < kBuyers; ++i) Subscribe(absl::StrCat("load-user", i));
  }
  static void TearDownTestSuite() {
    delete fleet;
    fleet = nullptr;
  }

  // A user's webhook, so that it is called.
  static void Subscribe(const std::string& user) {
    using notify::v1::WebhookService;
    notify::v1::RegisterEndpointRequest request;
    request.set_url(receiver.url());
    notify::v1::RegisterEndpointResponse response;
    const auto hooks = WebhookService::NewStub(fleet->channel("notify-1"));
    const Result result = Call(*hooks, &WebhookService::Stub::RegisterEndpoint, user, request, &response);
    ASSERT_TRUE(result.status.ok()) << result;
  }

  // Attempts of steps fail or are refused, so that what is done then is reached, too.
  static constexpr char kTrouble[] =
      ";saga.create.charge.before=error@3;saga.open_payment.payment.before=refuse@3"
      ";saga.complete_payment.confirm.before=refuse@2";

  // Payments that are awaited are given up after two seconds, which the checker must not meet halfway.
  static std::string Check() {
    EXPECT_TRUE(fleet->WaitForQuery("order", "SELECT count(*) FROM orders WHERE state = 5", 0, 60));
    return fleet->Check();
  }

  // Lets the instance die at each of its places in turn.
  static void KillEverywhere(const std::string& instance) {
    RestartAll(*fleet, absl::StrCat("*=trace", kTrouble));
    {
      Load load(*fleet, {"order-1"}, kBuyers, 2000, Flows::kAll);
      const Shopkeeper shopkeeper(*fleet);
      ASSERT_TRUE(load.Progresses(200));
      EXPECT_TRUE(Eventually([&] { return Missing(*fleet, instance).empty(); }, absl::Seconds(60)))
          << "declared, and never reached: " << Missing(*fleet, instance);
    }
    const std::set<std::string> places = Places(*fleet, instance, kReached);
    ASSERT_FALSE(Places(*fleet, instance, kDeclared).empty());
    int kills = 0;
    for (const std::string& place : places) {
      if (!IsChosen(instance, place)) continue;
      SCOPED_TRACE(place);
      fleet->Kill(instance);
      fleet->Restart(instance, {absl::StrCat("--failpoints=", place, "=crash", kTrouble)});
      {
        Load load(*fleet, {"order-1"}, kBuyers, 2000, Flows::kAll);
        const Shopkeeper shopkeeper(*fleet);
        EXPECT_TRUE(Eventually([&] { return !fleet->process(instance).alive(); }, absl::Seconds(60)))
            << "was not reached";
        fleet->Kill(instance);
        fleet->Restart(instance);
        fleet->WaitServing(instance);
        EXPECT_TRUE(load.Progresses(20));
      }
      ++kills;
      if (All()) {
        const std::string violations = Check();
        ASSERT_EQ(violations, "");
      }
    }
    EXPECT_EQ(Check(), "");
    std::cout << instance << ": killed at " << kills << " of " << places.size() << " places\n";
    if (instance != "order-1") return;
    // Of every step of every saga, there and back: what the engine declares is not less than this.
    for (const char* step : {"create.charge",
                             "create.confirm",
                             "create.undo_charge",
                             "create.undo_reserve",
                             "create.decide",
                             "create.finish",
                             "cancel.refund",
                             "cancel.return_stock",
                             "cancel.finish",
                             "open_payment.payment",
                             "open_payment.decide",
                             "open_payment.undo_payment",
                             "open_payment.undo_reserve",
                             "open_payment.finish",
                             "complete_payment.confirm",
                             "complete_payment.decide",
                             "complete_payment.undo_payment",
                             "complete_payment.undo_reserve",
                             "complete_payment.finish",
                             "refund.refund",
                             "refund.return_stock",
                             "refund.finish"}) {
      for (const char* when : {".before", ".after"}) {
        EXPECT_TRUE(places.contains(std::string("saga.") + step + when)) << step << when;
      }
    }
  }
  static inline Fleet* fleet = nullptr;
  static inline notify::TestReceiver receiver{notify::TestReceiver::Always(200)};
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
  EXPECT_EQ(Check(), "");
}

// The commit took effect, and the engine tries once more: it finds its own end, not another owner's.
TEST_F(Failpoint, AnEndWhoseAnswerWasLostIsKnown) {
  fleet->Kill("order-1");
  fleet->Restart("order-1", {"--failpoints=saga.create.finish.after=lost@1"});
  fleet->WaitServing("order-1");
  const Result result = PlaceOrder(*fleet->orders(), "load-user0", "lost-end", {{"load0", 1}});
  ASSERT_EQ(result.order.state(), order::v1::ORDER_STATE_PAID) << result;
  order::v1::GetSagaRequest request;
  request.set_type("create");
  request.set_id(result.order.order_id());
  order::v1::GetSagaResponse response;
  EXPECT_TRUE(Eventually([&] {
    Call(*fleet->sagas(), &order::v1::SagaAdminService::Stub::GetSaga, "olga", request, &response);
    return response.saga().outcome() == order::v1::SAGA_OUTCOME_COMPLETED;
  })) << response.ShortDebugString();
}

}  // namespace
}  // namespace flotilla::fleet
