// For tests: a gate on the test Redis with SKUs of its own.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "inventory/gate/segments.h"
#include "inventory/gate/stock_gate.h"
#include "testing/environment.h"

namespace flotilla::inventory {

using Kind = TakeResult::Kind;

class TestGate : public testing::Test {
 protected:
  explicit TestGate(int segments) : memory(segments) {}
  static redis::Options Redis() {
    const TestAddress address = TestRedis();
    redis::Options options;
    options.host = address.host;
    options.port = address.port;
    options.connect_timeout = options.command_timeout = absl::Seconds(10);
    return options;
  }
  std::string Name(const std::string& sku) const { return prefix + sku; }
  std::string Key(const std::string& kind, const std::string& sku, int segment) const {
    return "flotilla:" + kind + ":{" + Name(sku) + (segment == 0 ? "" : "~" + std::to_string(segment)) + "}";
  }
  int Home(const std::string& order_or_user) const { return SegmentOf(order_or_user, memory.segments); }
  // An order without a user whose home is that segment.
  std::string OrderAt(int segment) const {
    for (int i = 0;; ++i) {
      std::string order = "at-" + std::to_string(i);
      if (Home(order) == segment) return order;
    }
  }
  void Load(const std::string& sku, std::int64_t units, bool has_orders = false) {
    const StockGate::Supply supply{Name(sku), units, has_orders};
    ASSERT_TRUE(gate.Load({&supply, 1}).ok());
  }
  TakeResult Take(const std::string& order, std::vector<Line> lines, const std::string& user = "") {
    for (Line& line : lines) line.sku = Name(line.sku);
    const ReserveCommand command{order, lines, absl::Seconds(30), user};
    const auto results = gate.Take({&command, 1});
    EXPECT_TRUE(results.ok()) << results.status();
    return results.ok() ? results->front() : TakeResult{};
  }
  void Give(const std::string& order, const std::string& sku) {
    const Returned returned{order, {Name(sku)}};
    ASSERT_TRUE(gate.Give({&returned, 1}).ok());
  }
  std::optional<std::int64_t> Stock(const std::string& sku) {
    const std::string name = Name(sku);
    return gate.Read({&name, 1})->front();
  }
  void SetSegments(const std::string& sku, const std::vector<std::int64_t>& units) {
    for (std::size_t i = 0; i < units.size(); ++i) {
      ASSERT_TRUE(admin.Run({"SET", Key("stock", sku, static_cast<int>(i)), std::to_string(units[i])}).ok());
    }
  }
  void SetStock(const std::string& sku, std::int64_t units) {
    SetSegments(sku, Spread(units, static_cast<std::size_t>(memory.segments)));
  }
  void Forget(const std::string& kind, const std::string& sku) {
    for (int i = 0; i < memory.segments; ++i) ASSERT_TRUE(admin.Run({"DEL", Key(kind, sku, i)}).ok());
  }
  std::string Users(const std::string& sku, const std::string& user) {
    return admin.Run({"HGET", Key("users", sku, Home(user)), user})->string();
  }
  const std::string prefix = "gate-" + std::to_string(std::random_device{}()) + "-";
  StockGate::Memory memory;
  StockGate gate{Redis(), memory};
  redis::Client admin{Redis()};
};

}  // namespace flotilla::inventory
