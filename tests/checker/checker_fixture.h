// What the tests of the checker share: the sound fleet of test_world.h with a sound client log, and planted bugs, each
// of which must be caught by its own promise alone.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "checker/checker.h"
#include "checker/test_world.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "redis/client.h"

namespace flotilla::checker {

// ---- client log lines

inline std::string Call(const std::string& type, const std::string& user, const std::string& key,
                        const std::string& body, int time, const std::string& rest = "") {
  return absl::StrCat(R"({"type":")", type, R"(","op":"create_order","user":")", user, R"(","key":")", key,
                      R"(","body":")", body, R"(","time_us":)", time, rest.empty() ? "" : ",", rest, "}\n");
}

inline std::string Answer(const TestOrder& order, int state) {
  constexpr const char* kStates[] = {"", "RESERVED", "PAID", "CANCELLED", "CANCELLING"};
  return absl::StrCat(R"("order_id":")", order.id(), R"(","state":"ORDER_STATE_)", kStates[state], R"(")");
}

inline std::string Refusal(const std::string& reason) { return absl::StrCat(R"("reason":")", reason, R"(")"); }

// A call on a payment.
inline std::string MoneyCall(const std::string& type, const std::string& op, int order, const std::string& user,
                             const std::string& rest) {
  return absl::StrCat(R"({"type":")", type, R"(","op":")", op, R"(","order_id":")", Uuid(order), R"(","user":")", user,
                      "\",", rest, "}\n");
}

inline std::string GoodLog() {
  return absl::StrCat(
      Call("invoke", "alice", "k1", "A", 1), Call("unknown", "alice", "k1", "A", 2),
      Call("invoke", "alice", "k1", "A", 3), Call("ok", "alice", "k1", "A", 4, Answer(kAlice, 1)),
      Call("invoke", "alice", "k1", "A", 5), Call("ok", "alice", "k1", "A", 6, Answer(kAlice, 2)),
      Call("invoke", "alice", "k1", "B", 7), Call("fail", "alice", "k1", "B", 8, Refusal("IDEMPOTENCY_KEY_REUSED")),
      Call("invoke", "alice", "k1", "C", 9), Call("fail", "alice", "k1", "C", 10, Refusal("INVALID_FIELD")),
      Call("invoke", "bob", "k1", "A", 1), Call("ok", "bob", "k1", "A", 2, Answer(kBob, 3)),
      Call("invoke", "bob", "none", "A", 3), Call("fail", "bob", "none", "A", 4, Refusal("OUT_OF_STOCK")),
      Call("invoke", "bob", "lost", "A", 5), Call("invoke", "carol", "k1", "A", 1),
      Call("fail", "carol", "k1", "A", 2, Refusal("OUT_OF_STOCK")), Call("invoke", "carol", "k1", "A", 3),
      Call("ok", "carol", "k1", "A", 4, Answer(kCarol, 2)),
      R"({"type":"ok","op":"cancel_order","user":"carol","time_us":"7",)", Answer(kCarol, 3), "}\n",
      MoneyCall("invoke", "authorize", 7, "bob", R"("amount":50)"),
      MoneyCall("unknown", "authorize", 7, "bob", R"("amount":50)"),
      MoneyCall("invoke", "authorize", 7, "bob", R"("amount":50)"),
      MoneyCall("ok", "authorize", 7, "bob", R"("amount":50,"moved":50)"),
      MoneyCall("invoke", "capture", 7, "", R"("amount":30)"),
      MoneyCall("ok", "capture", 7, "", R"("amount":30,"moved":30)"),
      MoneyCall("invoke", "void", 7, "", R"("amount":0)"),
      MoneyCall("fail", "void", 7, "", R"("reason":"ALREADY_CAPTURED")"),
      MoneyCall("invoke", "refund", 7, "", R"("key":"r1")"),
      MoneyCall("ok", "refund", 7, "", R"("key":"r1","moved":30)"),
      MoneyCall("invoke", "charge", 0, "bob", R"("amount":9000)"),
      MoneyCall("fail", "charge", 0, "bob", R"("amount":9000,"reason":"INSUFFICIENT_FUNDS")"));
}

class CheckerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    world = new World;
    for (const auto& [sku, available] : Available()) SetGate(sku, available);
  }
  static void TearDownTestSuite() {
    for (const auto& [sku, available] : Available()) Redis({"DEL", GateKey(sku)});
    delete world;
    world = nullptr;
  }

  CheckerTest() {
    options_.quiescent = true;
    const TestAddress redis = TestRedis();
    options_.redis = absl::StrCat(redis.host, ":", redis.port);
    options_.redis_patience = absl::Milliseconds(300);
    options_.order_postgres = world->database("order").options().uri;
    options_.inventory_postgres = world->database("inventory").options().uri;
    options_.payment_postgres = world->database("payment").options().uri;
    options_.notify_postgres = world->database("notify").options().uri;
    options_.client_log = (std::filesystem::temp_directory_path() / absl::StrCat("calls-", getpid())).string();
    WriteLog(GoodLog());
  }
  ~CheckerTest() override { std::filesystem::remove(options_.client_log); }

  void WriteLog(const std::string& text) const { std::ofstream(options_.client_log) << text; }

  void Plant(const std::string& service, const std::string& sql) {
    auto& copy = copies_[service];
    if (copy == nullptr) copy = std::make_unique<Copy>(world->database(service));
    copy->Run(sql);
    std::string& uri = service == "order"       ? options_.order_postgres
                       : service == "inventory" ? options_.inventory_postgres
                       : service == "payment"   ? options_.payment_postgres
                                                : options_.notify_postgres;
    uri = copy->uri();
  }

  // Checks; the numbers of the violated promises.
  std::vector<int> Violated() {
    const absl::StatusOr<Report> report = Check(options_);
    if (!report.ok()) {
      ADD_FAILURE() << report.status();
      return {-1};
    }
    text_ = report->ToString();
    std::vector<int> violated;
    for (int number = 1; number <= kPromises; ++number) {
      if (report->violated(static_cast<Promise>(number))) violated.push_back(number);
    }
    EXPECT_EQ(report->ok(), violated.empty());
    return violated;
  }

  static std::map<std::string, std::int64_t> Available() { return {{kApple, 100 + 5 - 2}, {kPear, 50 - 1 - 2 - 4}}; }
  static std::string GateKey(const std::string& sku) { return "flotilla:stock:{" + sku + "}"; }
  static void SetGate(const std::string& sku, std::int64_t units) {
    Redis({"SET", GateKey(sku), std::to_string(units)});
  }
  static void Redis(redis::Command command) {
    const TestAddress address = TestRedis();
    redis::Options options;
    options.host = address.host;
    options.port = address.port;
    options.connect_timeout = options.command_timeout = absl::Seconds(10);
    redis::Client client(options);
    const auto reply = client.Run(std::move(command));
    if (!reply.ok()) throw std::runtime_error(reply.status().ToString());
  }

  static inline World* world = nullptr;
  Options options_;
  std::string text_;
  std::map<std::string, std::unique_ptr<Copy>> copies_;
};

// ---- planted bugs

struct Bug {
  const char* name;
  int promise;
  std::vector<std::pair<std::string, std::string>> damage;  // service ("log": lines added to the client log) and SQL
  std::string says;
};
inline void PrintTo(const Bug& bug, std::ostream* out) { *out << bug.name; }

// Event 2 of kAgain was never delivered; it is alice's last notification.
inline const std::string kForget = "DELETE FROM handled_event WHERE event_id = '" + Uuid(5) +
                                   "/2'; DELETE FROM notification WHERE event_id = '" + Uuid(5) + "/2';";

inline std::string SetEvent(const TestOrder& order, int sequence, int state, const std::string& type) {
  return absl::StrCat("UPDATE event SET type = '", type, "', data = ", EventData(order, state, sequence),
                      " WHERE event_id = '", order.id(), "/", sequence, "';");
}

inline std::string WhereOrder(int number) { return " WHERE order_id = '" + Uuid(number) + "';"; }
inline std::string AddToAccount(int id, std::int64_t delta) {
  return absl::StrCat("UPDATE account SET balance = balance + ", delta, " WHERE account_id = ", id, ";");
}
inline const std::string kWhereApple = " WHERE sku = '" + kApple + "';";
inline const std::string kWherePear = " WHERE sku = '" + kPear + "';";

class PlantedBug : public CheckerTest, public testing::WithParamInterface<Bug> {};

// INSTANTIATE_TEST_SUITE_P(..., PlantedBug, testing::ValuesIn(Bugs()), NameOfBug);
inline std::string NameOfBug(const testing::TestParamInfo<Bug>& test) { return test.param.name; }

}  // namespace flotilla::checker
