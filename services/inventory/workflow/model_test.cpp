// Random sequences of all calls against two instances and the model: duplicates, late and reordered ones, other bodies
// under used ids, a gate that forgets SKUs in between.
//   FLOTILLA_MODEL_SEEDS (3)  sequences    FLOTILLA_MODEL_SEED  the first seed, to repeat a failure
#include "inventory/workflow/model.h"

#include <cstdlib>
#include <iostream>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "async/thread_executor.h"
#include "gtest/gtest.h"
#include "inventory/store/schema.h"
#include "inventory/workflow/keeper.h"
#include "inventory/workflow/test_instance.h"
#include "postgres/test_database.h"
#include "testing/environment.h"
#include "testing/eventually.h"

namespace flotilla::inventory {
namespace {

constexpr int kSkus = 6, kOrders = 40, kUsers = 3, kReferences = 8, kSteps = 400;

redis::Options TestRedisOptions() {
  const TestAddress address = TestRedis();
  redis::Options options;
  options.host = address.host;
  options.port = address.port;
  options.connect_timeout = options.command_timeout = absl::Seconds(10);
  return options;
}

class World {
 public:
  World(const postgres::TestDatabase& database, std::uint64_t seed, int gate_segments)
      : database_(database),
        random_(seed),
        prefix_(absl::StrCat("model-", std::random_device{}(), "-")),
        redis_(TestRedisOptions()),
        one_(database.options(), TestRedisOptions(), gate_segments),
        two_(database.options(), TestRedisOptions(), gate_segments),
        gate_(TestRedisOptions(), one_.gate.memory()),
        keeper_(database.options(), TestRedisOptions(), one_.catalog, one_.gate, {.period = absl::Milliseconds(20)}) {
    for (int i = 0; i < kSkus; ++i) Put(i, Any(8), i % 2 == 0 ? 0 : 1 + Any(4));
  }

  void Step() {
    switch (Any(20)) {
      case 0:
        return Put(Any(kSkus), 0, Any(2) == 0 ? 0 : 1 + Any(4));
      case 1:
        return ForgetSku(Sku(Any(kSkus)));
      case 2:
        return Expire();
      case 3:
      case 4:
        return Adjust();
      case 5:
        return Extend();
      case 6:
      case 7:
      case 8:
        return Release();
      case 9:
      case 10:
      case 11:
        return Confirm();
      default:
        return Reserve();
    }
  }

  // All of SQL and, after its healing, the gate.
  void Compare() {
    for (const auto& [sku, stock] : model_.stocks) {
      EXPECT_EQ(
          database_.Query("SELECT available || ' ' || reserved || ' ' || sold FROM sku WHERE sku = '" + sku + "'"),
          absl::StrCat(stock.available, " ", stock.reserved, " ", stock.sold))
          << sku;
    }
    for (const auto& [id, order] : model_.orders) {
      EXPECT_EQ(database_.Query("SELECT state FROM reservation WHERE order_id = '" + id + "'"),
                absl::StrCat(static_cast<int>(order.state)))
          << id;
    }
    for (const auto& [sku, stock] : model_.stocks) {
      EXPECT_TRUE(Eventually([&] {
        const auto units = gate_.Read({&sku, 1});
        return units.ok() && units->front().value_or(stock.available) == stock.available;
      })) << sku;
    }
  }

 private:
  int Any(int count) { return static_cast<int>(random_() % static_cast<std::uint64_t>(count)); }
  std::string Sku(int i) const { return absl::StrCat(prefix_, i); }
  std::string Order(int i) const { return absl::StrFormat("%08x-0000-8000-8000-%012d", database_salt_, i); }
  Instance& Some() { return Any(2) == 0 ? one_ : two_; }

  // The body of an order is always the same, but for a few calls that come with that of another.
  ReserveCommand Body(int order) const {
    std::minstd_rand body(static_cast<unsigned>(order) * 7919 + 1);
    ReserveCommand command{Order(order), {}, absl::Minutes(10), absl::StrCat("user-", order % kUsers)};
    const int lines = 1 + static_cast<int>(body() % 3);
    for (int i = 0; i < lines; ++i) {
      // One SKU more than there are.
      command.lines.push_back({Sku(static_cast<int>((body() % 2 + static_cast<unsigned>(2 * i + order)) % (kSkus + 1))),
                               static_cast<std::int64_t>(1 + body() % 2)});
    }
    std::set<std::string> seen;
    std::erase_if(command.lines, [&](const Line& line) { return !seen.insert(line.sku).second; });
    return command;
  }

  void Put(int sku, std::int64_t units, std::int64_t limit) {
    std::vector<PutSkuCommand> commands = {{.sku = Sku(sku),
                                            .name = "N",
                                            .price = 1,
                                            .currency = "EUR",
                                            .initial = units,
                                            .rules = {.user_limit = limit}}};
    const auto put = async::BlockOn(executor_, Some().keeping.Put(std::move(commands)));
    ASSERT_TRUE(put.ok()) << put.status();
    const auto [it, created] = model_.stocks.try_emplace(Sku(sku));
    if (created) it->second.available = units;
    it->second.limit = limit;
    // Rules may be a little old in an instance, which the model knows nothing of.
    ASSERT_TRUE(one_.catalog.Refresh().ok());
    ASSERT_TRUE(two_.catalog.Refresh().ok());
  }

  void Reserve() {
    const int order = Any(kOrders);
    ReserveCommand command = Body(order);
    if (Any(12) == 0) command.lines = Body(Any(kOrders)).lines;
    const auto ask = [&] {
      std::vector<ReserveCommand> commands = {command};
      if (Any(4) == 0) commands.push_back(command);  // a duplicate in the same batch
      return async::BlockOn(executor_, Some().holds.Reserve(std::move(commands))).front();
    };
    const std::set<Outcome> right = model_.Reserve(command);
    absl::StatusOr<ReserveResult> result = ask();
    // Units that came back are offered everywhere within a moment, not at once; so are gates healed.
    Eventually([&] {
      if (result.ok() && right.contains(result->outcome)) return true;
      result = ask();
      return false;
    });
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_TRUE(right.contains(result->outcome))
        << command.order_id << " " << result->sku << ": answered " << static_cast<int>(result->outcome) << ", not "
        << static_cast<int>(*right.begin());
  }

  void Confirm() {
    const std::string id = Order(Any(kOrders));
    std::vector<std::string> ids = {id};
    const auto outcomes = async::BlockOn(executor_, Some().holds.Confirm(std::move(ids)));
    ASSERT_TRUE(outcomes.ok()) << outcomes.status();
    EXPECT_EQ(outcomes->front(), model_.Confirm(id)) << id;
  }

  void Release() {
    const std::string id = Order(Any(kOrders));
    const bool return_sold = Any(2) == 0;
    std::vector<ReleaseCommand> commands = {{id, return_sold}};
    const auto outcomes = async::BlockOn(executor_, Some().holds.Release(std::move(commands)));
    ASSERT_TRUE(outcomes.ok()) << outcomes.status();
    EXPECT_EQ(outcomes->front(), model_.Release(id, return_sold)) << id;
  }

  void Extend() {
    const std::string id = Order(Any(kOrders));
    const auto result = async::BlockOn(executor_, Some().holds.Extend({id, absl::Minutes(20)}));
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->outcome, model_.Extend(id)) << id;
  }

  void Adjust() {
    const AdjustCommand command{Sku(Any(kSkus + 1)), absl::StrCat("ref-", Any(kReferences)), Any(2) == 0 ? 2 : -1};
    const auto result = async::BlockOn(executor_, Some().keeping.Adjust(command));
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(static_cast<int>(result->outcome), static_cast<int>(model_.Adjust(command))) << command.sku;
  }

  // A hold's time runs out, and the sweeper comes.
  void Expire() {
    for (const auto& [id, order] : model_.orders) {
      if (order.state != HoldState::kHeld) continue;
      database_.Query("UPDATE reservation SET expires_at = now() - interval '1 second' WHERE order_id = '" + id + "'");
      ASSERT_TRUE(Eventually(
          [&] { return database_.Query("SELECT state FROM reservation WHERE order_id = '" + id + "'") == "4"; }));
      return model_.Expire(id);
    }
  }

  // As after a FLUSHALL, but only of this SKU: the server is shared. Or as if one node of a cluster had lost its
  // segment.
  void ForgetSku(const std::string& sku) {
    const std::string tag = Any(2) == 0 ? "{" + sku + "[}~]*" : "{" + sku + "~1}*";
    const auto keys = redis_.Run({"KEYS", "flotilla:*:" + tag});
    ASSERT_TRUE(keys.ok()) << keys.status();
    if (keys->array().empty()) return;
    redis::Command unlink = {"DEL"};
    for (const redis::Reply& key : keys->array()) unlink.push_back(key.string());
    ASSERT_TRUE(redis_.Run(std::move(unlink)).ok());
  }

  const postgres::TestDatabase& database_;
  std::mt19937_64 random_;
  const std::string prefix_;
  const std::uint32_t database_salt_ = std::random_device{}();
  redis::Client redis_;
  async::ThreadExecutor executor_;
  Instance one_, two_;
  StockGate gate_;
  Keeper keeper_;
  Model model_;
};

std::uint64_t Environment(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

// Over the segments of the gate.
class ModelTest : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Segments, ModelTest, testing::Values(1, 4));

TEST_P(ModelTest, EveryAnswerIsTheModels) {
  const postgres::TestDatabase database;
  ASSERT_TRUE(postgres::Migrate(database.options(), Schema(), absl::Seconds(10)).ok());
  const std::uint64_t seeds = Environment("FLOTILLA_MODEL_SEEDS", 3);
  const std::uint64_t first = Environment("FLOTILLA_MODEL_SEED", std::random_device{}());
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    SCOPED_TRACE(absl::StrCat("FLOTILLA_MODEL_SEED=", seed));
    std::cout << "FLOTILLA_MODEL_SEED=" << seed << std::endl;
    World world(database, seed, GetParam());
    for (int step = 0; step < kSteps && !testing::Test::HasFailure(); ++step) world.Step();
    world.Compare();
    if (testing::Test::HasFailure()) break;
  }
}

}  // namespace
}  // namespace flotilla::inventory
