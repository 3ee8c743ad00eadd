// What clients saw: a file of JSON lines, one when a call is sent and one when its fate is known.
//
//   {"type": "invoke"|"ok"|"fail"|"unknown", "op": "create_order"|"cancel_order", "user": "ida", "key": "k1",
//    "body": "2 apple", "order_id": "...", "state": "ORDER_STATE_PAID", "reason": "OUT_OF_STOCK", "time_us":
//    1700000000000000}
//
//   {"type": "invoke"|..., "op": "charge"|"authorize"|"capture"|"void"|"refund", "order_id": "...", "user": "ida",
//    "key": "r1", "amount": "100", "moved": "100", "reason": "INSUFFICIENT_FUNDS", "time_us": 1700000000000000}
//
// create_order has key and body (any text that is equal for equal requests), cancel_order has order_id; ok has order_id
// and state; fail (refused for good: it must have had no effect) has the reason. The calls on payments have order_id,
// who pays (charge and authorize), the refund id as key, and the amount asked for, in minor units (absent: all there
// is); ok has what was moved. unknown is everything else, and so is an invoke without a fate. time_us orders the lines
// of one log. A line may end early where its writer was killed, but only the last one.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace flotilla::checker {

enum class Fate { kInvoke, kOk, kFail, kUnknown };

struct Entry {
  Fate fate;
  std::string body;
  std::string order_id;
  int state = 0;  // flotilla.order.v1.OrderState
  std::string reason;
  std::int64_t time_us = 0;
};

// A line about a call on a payment.
struct MoneyCall {
  Fate fate;
  std::string op;
  std::string user;
  std::string key;
  std::int64_t amount = 0;
  std::int64_t moved = 0;
};

struct ClientLog {
  // create_order calls by user and idempotency key.
  absl::flat_hash_map<std::pair<std::string, std::string>, std::vector<Entry>> creates;
  // cancel_order calls that were answered, with their users.
  std::vector<std::pair<std::string, Entry>> cancels;
  // Calls on payments, by order.
  absl::flat_hash_map<std::string, std::vector<MoneyCall>> money;
  std::int64_t lines = 0;
};

// INVALID_ARGUMENT with the line's number; NOT_FOUND.
absl::StatusOr<ClientLog> ReadClientLog(const std::string& path);

}  // namespace flotilla::checker
