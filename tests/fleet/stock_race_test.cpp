// A flash sale in a storm: ten thousand buyers for a hundred units, while inventory is killed, Redis flushed and
// restarted empty, and PostgreSQL killed. When the dust has settled exactly a hundred are sold.
//   FLOTILLA_RACE_SEEDS (3)  sales, each of its own seed    FLOTILLA_RACE_SEED  the first seed, to repeat a failure
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <mutex>
#include <pqxx/pqxx>
#include <random>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "errors/errors.h"
#include "flotilla/inventory/v1/inventory_service.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "redis/client.h"
#include "testing/environment.h"
#include "testing/eventually.h"
#include "testing/postgres_server.h"
#include "testing/process.h"

namespace flotilla::inventory {
namespace {

constexpr int kBuyers = 10000;
constexpr int kUnits = 100;
constexpr int kThreads = 8;
constexpr int kInstances = 2;
constexpr int kBatch = 125;

// Two inventory instances with servers of their own. etcd and NATS are away all the time: nothing here needs them.
class Shop {
 public:
  explicit Shop(int gate_segments) : segments_(gate_segments) {
    std::filesystem::create_directories(folder_);
    postgres_ = std::make_unique<PostgresServer>(folder_);
    pqxx::nontransaction(*Connect(postgres_->uri())).exec("CREATE DATABASE inventory");
    StartRedis();
    for (int i = 0; i < kInstances; ++i) {
      ports_.push_back(FreePort());
      instances_.emplace_back();
      StartInstance(i);
    }
    for (int i = 0; i < kInstances; ++i) WaitServing(i);
  }
  ~Shop() {
    instances_.clear();
    redis_.reset();
    postgres_.reset();
    if (!testing::Test::HasFailure()) std::filesystem::remove_all(folder_);
  }

  std::unique_ptr<v1::InventoryService::Stub> Stub(int instance) const {
    grpc::ChannelArguments args;
    args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
    args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 500);
    args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
    return v1::InventoryService::NewStub(
        grpc::CreateCustomChannel(Address(instance), grpc::InsecureChannelCredentials(), args));
  }

  void KillInstance(int i) { instances_[static_cast<std::size_t>(i)].reset(); }
  void StartInstance(int i) {
    instances_[static_cast<std::size_t>(i)] = std::make_unique<Process>(
        std::vector<std::string>{TestBin() + "/flotilla-inventory", "--listen=" + Address(i),
                                 "--metrics_listen=", "--auth=off", "--etcd=127.0.0.1:1", "--nats=nats://127.0.0.1:1",
                                 "--postgres=" + Uri(), absl::StrCat("--redis=127.0.0.1:", redis_port_),
                                 absl::StrCat("--gate_segments=", segments_)},
        (folder_ / absl::StrCat("inventory-", i, ".log")).string());
  }
  void WaitServing(int i) const {
    const auto stub = Stub(i);
    const bool serves = Eventually(
        [&] {
          grpc::ClientContext context;
          context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(1));
          v1::GetStockRequest request;
          request.set_sku("none");
          v1::GetStockResponse response;
          return stub->GetStock(&context, request, &response).error_code() == grpc::StatusCode::NOT_FOUND;
        },
        absl::Seconds(60));
    if (serves) return;
    const std::string log = instances_[static_cast<std::size_t>(i)]->Output();
    throw std::runtime_error("inventory does not serve; its last words: " +
                             log.substr(log.size() - std::min<std::size_t>(log.size(), 4000)));
  }
  void StartRedis() {
    redis_ = std::make_unique<Process>(
        std::vector<std::string>{"redis-server", "--port", std::to_string(redis_port_), "--bind", "127.0.0.1", "--save",
                                 "", "--dir", folder_.string()},
        (folder_ / "redis.log").string());
  }
  void KillRedis() { redis_.reset(); }
  void Redis(redis::Command command) const {
    redis::Options options;
    options.port = redis_port_;
    redis::Client client(options);
    client.Run(std::move(command)).status().IgnoreError();
  }
  PostgresServer& postgres() { return *postgres_; }

  std::string Query(const std::string& sql) const {
    const pqxx::result rows = pqxx::nontransaction(*Connect(Uri())).exec(sql);
    return rows.empty() ? "" : rows[0][0].as<std::string>("");
  }
  // The checker's word on what the database and the gate hold; "" where all promises are kept.
  std::string Check() const {
    Process check({TestBin() + "/flotilla-check", "--quiescent", "--inventory_postgres=" + Uri(),
                   absl::StrCat("--redis=127.0.0.1:", redis_port_), absl::StrCat("--gate_segments=", segments_)},
                  (folder_ / absl::StrCat("check-", absl::ToUnixNanos(absl::Now()), ".log")).string());
    return check.Wait(60) == 0 ? "" : check.Output();
  }

 private:
  // A server that has just been started refuses connections until it has recovered.
  static std::unique_ptr<pqxx::connection> Connect(const std::string& uri) {
    std::unique_ptr<pqxx::connection> connection;
    const bool connected = Eventually(
        [&] {
          try {
            connection = std::make_unique<pqxx::connection>(uri);
          } catch (const pqxx::broken_connection&) {
            return false;
          }
          return true;
        },
        absl::Seconds(60));
    if (!connected) throw std::runtime_error("PostgreSQL does not take connections");
    return connection;
  }
  std::string Uri() const {
    const std::string admin = postgres_->uri();
    return admin.substr(0, admin.rfind('/')) + "/inventory";
  }
  std::string Address(int i) const { return absl::StrCat("127.0.0.1:", ports_[static_cast<std::size_t>(i)]); }

  const int segments_;
  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / absl::StrCat("flotilla-race-", getpid());
  std::unique_ptr<PostgresServer> postgres_;
  const int redis_port_ = FreePort();
  std::unique_ptr<Process> redis_;
  std::vector<int> ports_;
  std::vector<std::unique_ptr<Process>> instances_;
};

// Breaks something and repairs it, again and again. On the test's own thread, for a process dies with the thread that
// started it.
class Storm {
 public:
  Storm(Shop& shop, std::uint64_t seed) : shop_(shop), random_(seed) {}

  void Strike() {
    Pause(700);
    switch (random_() % 6) {
      case 0:
      case 1: {
        const int victim = static_cast<int>(random_() % kInstances);
        shop_.KillInstance(victim);
        Pause(200);
        shop_.StartInstance(victim);
        break;
      }
      case 2:
        shop_.Redis({"FLUSHALL"});
        break;
      case 3:
        shop_.Redis({"SCRIPT", "FLUSH"});
        break;
      case 4:
        shop_.KillRedis();
        Pause(500);
        shop_.StartRedis();
        break;
      default:
        shop_.postgres().Kill();
        Pause(300);
        shop_.postgres().Start();
    }
  }

 private:
  void Pause(int most_ms) {
    std::this_thread::sleep_for(std::chrono::milliseconds(std::uniform_int_distribution<>(20, most_ms)(random_)));
  }
  Shop& shop_;
  std::mt19937_64 random_;
};

class Sale {
 public:
  Sale(Shop& shop, std::uint64_t seed) : shop_(shop), seed_(seed), sku_(absl::StrCat("race-", seed)) {
    v1::PutSkuRequest request;
    request.set_sku(sku_);
    request.set_name("Race");
    request.mutable_price()->set_minor_units(1);
    request.mutable_price()->set_currency_code("EUR");
    request.set_initial_quantity(kUnits);
    const auto stub = shop.Stub(0);
    grpc::Status status;
    const auto put = [&] {
      grpc::ClientContext context;
      v1::PutSkuResponse response;
      status = stub->PutSku(&context, request, &response);
      return status.ok();
    };
    EXPECT_TRUE(Eventually(put)) << status.error_message();
  }

  const std::string& sku() const { return sku_; }
  // Until a hundred sales are acknowledged. Returns the orders of those.
  std::set<std::string> Run() {
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) threads.emplace_back([this, t] { Buy(t); });
    for (auto& thread : threads) thread.join();
    return confirmed_;
  }

 private:
  struct Buyer {
    std::string order_id;
    bool gone = false;
    bool confirming = false;  // perhaps sold: walking away now would leave a sale that nobody counts
  };
  std::string OrderId(int buyer) const {
    return absl::StrFormat("%08x-%04x-8000-8000-%012d", static_cast<std::uint32_t>(seed_ >> 16),
                           static_cast<std::uint32_t>(seed_ & 0xffff), buyer);
  }
  std::size_t sold() {
    std::lock_guard lock(mutex_);
    return confirmed_.size();
  }

  void Buy(int thread) {
    std::mt19937_64 random(seed_ * kThreads + static_cast<std::uint64_t>(thread));
    std::vector<std::unique_ptr<v1::InventoryService::Stub>> stubs;
    for (int i = 0; i < kInstances; ++i) stubs.push_back(shop_.Stub(i));
    std::vector<Buyer> buyers;
    for (int b = thread; b < kBuyers; b += kThreads) buyers.push_back({OrderId(b)});
    std::shuffle(buyers.begin(), buyers.end(), random);
    const absl::Time deadline = absl::Now() + absl::Minutes(5);
    while (sold() < kUnits && absl::Now() < deadline) {
      for (std::size_t begin = 0; begin < buyers.size() && sold() < kUnits; begin += kBatch) {
        Ask(*stubs[random() % kInstances],
            {buyers.data() + begin, std::min<std::size_t>(kBatch, buyers.size() - begin)}, random);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  void Ask(v1::InventoryService::Stub& stub, std::span<Buyer> buyers, std::mt19937_64& random) {
    v1::BatchReserveRequest request;
    std::vector<Buyer*> asking;
    for (Buyer& buyer : buyers) {
      if (buyer.gone) continue;
      auto* one = request.add_requests();
      one->set_order_id(buyer.order_id);
      one->mutable_hold()->set_seconds(2);
      auto* line = one->add_lines();
      line->set_sku(sku_);
      line->set_quantity(1);
      asking.push_back(&buyer);
    }
    if (asking.empty()) return;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
    v1::BatchReserveResponse response;
    if (!stub.BatchReserve(&context, request, &response).ok()) return;  // asks again with the same order
    for (int i = 0; i < response.results_size(); ++i) {
      Buyer& buyer = *asking[static_cast<std::size_t>(i)];
      const auto& result = response.results(i);
      if (result.has_error()) {
        const std::string reason = errors::Reason(errors::FromProto(result.error()));
        if (reason == "OUT_OF_STOCK") continue;  // somebody may give up yet
        EXPECT_TRUE(reason.empty()) << reason << ": " << result.error().message();
        continue;
      }
      switch (buyer.confirming ? 19 : random() % 20) {
        case 0:  // walks away; the hold runs out
          buyer.gone = true;
          break;
        case 1:  // thinks better of it
          Release(stub, buyer.order_id);
          buyer.gone = true;
          break;
        case 2:  // missed the answer, asks again
          break;
        default:
          Confirm(stub, buyer);
      }
    }
  }

  // An answer that was lost is asked for again in the next round: Reserve says it is held still, Confirm that it is
  // sold.
  void Confirm(v1::InventoryService::Stub& stub, Buyer& buyer) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
    v1::ConfirmRequest request;
    request.set_order_id(buyer.order_id);
    buyer.confirming = true;
    v1::ConfirmResponse response;
    if (!stub.Confirm(&context, request, &response).ok()) return;
    buyer.gone = true;
    std::lock_guard lock(mutex_);
    confirmed_.insert(buyer.order_id);
  }

  static void Release(v1::InventoryService::Stub& stub, const std::string& order_id) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
    v1::ReleaseRequest request;
    request.set_order_id(order_id);
    v1::ReleaseResponse response;
    stub.Release(&context, request, &response);  // whatever comes of it: at the latest the hold runs out
  }

  Shop& shop_;
  const std::uint64_t seed_;
  const std::string sku_;
  std::mutex mutex_;
  std::set<std::string> confirmed_;
};

std::uint64_t Environment(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

// Over the segments of the gate.
class StockRace : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Segments, StockRace, testing::Values(1, 4));

TEST_P(StockRace, ExactlyAHundredAreSoldWhateverBreaks) {
  const std::uint64_t seeds = Environment("FLOTILLA_RACE_SEEDS", 3);
  const std::uint64_t first = Environment("FLOTILLA_RACE_SEED", std::random_device{}());
  Shop shop(GetParam());
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    SCOPED_TRACE(absl::StrCat("FLOTILLA_RACE_SEED=", seed));
    std::cout << "FLOTILLA_RACE_SEED=" << seed << std::endl;
    Sale sale(shop, seed);
    std::set<std::string> acknowledged;
    std::atomic<bool> over = false;
    std::thread buyers([&] {
      acknowledged = sale.Run();
      over = true;
    });
    for (Storm storm(shop, seed); !over;) storm.Strike();
    buyers.join();
    for (int i = 0; i < kInstances; ++i) shop.WaitServing(i);
    const std::string where = " FROM sku WHERE sku = '" + sale.sku() + "'";
    EXPECT_EQ(acknowledged.size(), kUnits);
    EXPECT_TRUE(Eventually([&] { return shop.Query("SELECT reserved" + where) == "0"; }));
    EXPECT_EQ(shop.Query("SELECT available || ' ' || reserved || ' ' || sold" + where), "0 0 100");
    std::string ids;
    for (const std::string& id : acknowledged) absl::StrAppend(&ids, ids.empty() ? "'" : ",'", id, "'");
    EXPECT_EQ(shop.Query("SELECT count(*) FROM reservation WHERE state = 2 AND order_id IN (" + ids + ")"), "100");
    EXPECT_EQ(shop.Check(), "");
    if (testing::Test::HasFailure()) break;
  }
}

}  // namespace
}  // namespace flotilla::inventory
