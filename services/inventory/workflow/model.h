// For tests: what the service promises, as a few maps.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "inventory/domain/hold.h"
#include "inventory/domain/movement.h"

namespace flotilla::inventory {

class Model {
 public:
  struct Stock {
    std::int64_t available = 0, reserved = 0, sold = 0, limit = 0;
  };
  struct Order {
    HoldState state;
    std::vector<Line> lines;
    std::string user;
    std::set<std::string> counted;  // SKUs that count for the user's limit
  };
  std::map<std::string, Stock> stocks;
  std::map<std::string, Order> orders;

  // The answers that are right; the change is made where it is kOk. A gate in front may refuse for any line that is
  // short, where SQL would name the first or say what became of the order.
  std::set<Outcome> Reserve(const ReserveCommand& command) {
    const auto it = orders.find(command.order_id);
    const bool stands = it != orders.end() && it->second.state != HoldState::kExpired;
    std::set<Outcome> reasons;
    for (const Line& line : command.lines) {
      const auto stock = stocks.find(line.sku);
      if (stock == stocks.end()) {
        reasons.insert(Outcome::kUnknownSku);
        continue;
      }
      if (stock->second.available < line.quantity) reasons.insert(Outcome::kOutOfStock);
      const std::int64_t limit = stock->second.limit;
      if (limit > 0 && Purchased(line.sku, command.user_id) + line.quantity > limit) {
        reasons.insert(Outcome::kPurchaseLimit);
      }
    }
    if (stands && it->second.state == HoldState::kReleased) {
      reasons.insert(Outcome::kReleased);
      return reasons;
    }
    if (stands && SameLines(it->second.lines, command.lines)) return {Outcome::kOk};
    if (stands) {
      reasons.insert(Outcome::kMismatch);
      return reasons;
    }
    if (!reasons.empty()) return reasons;
    Order order{HoldState::kHeld, command.lines, command.user_id, {}};
    for (const Line& line : command.lines) {
      Stock& stock = stocks.at(line.sku);
      stock.available -= line.quantity;
      stock.reserved += line.quantity;
      if (stock.limit > 0) order.counted.insert(line.sku);
    }
    orders.insert_or_assign(command.order_id, std::move(order));
    return {Outcome::kOk};
  }

  Outcome Confirm(const std::string& id) {
    const auto it = orders.find(id);
    if (it == orders.end()) return Outcome::kUnknownReservation;
    if (it->second.state == HoldState::kReleased) return Outcome::kReleased;
    if (it->second.state == HoldState::kExpired) return Outcome::kExpired;
    if (it->second.state == HoldState::kHeld) {
      for (const Line& line : it->second.lines) {
        stocks.at(line.sku).reserved -= line.quantity;
        stocks.at(line.sku).sold += line.quantity;
      }
      it->second.state = HoldState::kConfirmed;
    }
    return Outcome::kOk;
  }

  Outcome Release(const std::string& id, bool return_sold) {
    const auto [it, tombstone] = orders.try_emplace(id, Order{HoldState::kReleased, {}, "", {}});
    if (it->second.state == HoldState::kConfirmed && !return_sold) return Outcome::kConfirmed;
    GiveBack(it->second, HoldState::kReleased);
    return Outcome::kOk;
  }

  Outcome Extend(const std::string& id) const {
    const auto it = orders.find(id);
    if (it == orders.end()) return Outcome::kUnknownReservation;
    switch (it->second.state) {
      case HoldState::kHeld:
        return Outcome::kOk;
      case HoldState::kConfirmed:
        return Outcome::kConfirmed;
      case HoldState::kReleased:
        return Outcome::kReleased;
      case HoldState::kExpired:
        return Outcome::kExpired;
    }
    return Outcome::kUnknownReservation;
  }

  void Expire(const std::string& id) { GiveBack(orders.at(id), HoldState::kExpired); }

  AdjustOutcome Adjust(const AdjustCommand& command) {
    const auto stock = stocks.find(command.sku);
    if (stock == stocks.end()) return AdjustOutcome::kUnknownSku;
    const auto before = movements_.find({command.sku, command.reference});
    if (before != movements_.end()) {
      return before->second == command.delta ? AdjustOutcome::kRepeated : AdjustOutcome::kReferenceReused;
    }
    if (stock->second.available + command.delta < 0) return AdjustOutcome::kOutOfStock;
    stock->second.available += command.delta;
    movements_[{command.sku, command.reference}] = command.delta;
    return AdjustOutcome::kDone;
  }

 private:
  std::int64_t Purchased(const std::string& sku, const std::string& user) const {
    std::int64_t units = 0;
    for (const auto& [id, order] : orders) {
      const bool live = order.state == HoldState::kHeld || order.state == HoldState::kConfirmed;
      if (!live || order.user != user || !order.counted.contains(sku)) continue;
      for (const Line& line : order.lines) units += line.sku == sku ? line.quantity : 0;
    }
    return units;
  }

  void GiveBack(Order& order, HoldState state) {
    for (const Line& line : order.lines) {
      Stock& stock = stocks.at(line.sku);
      if (order.state == HoldState::kHeld) stock.reserved -= line.quantity;
      if (order.state == HoldState::kConfirmed) stock.sold -= line.quantity;
      if (order.state == HoldState::kHeld || order.state == HoldState::kConfirmed) stock.available += line.quantity;
    }
    order.state = state;
  }

  std::map<std::pair<std::string, std::string>, std::int64_t> movements_;  // deltas by SKU and reference
};

}  // namespace flotilla::inventory
