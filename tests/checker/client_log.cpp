#include "checker/client_log.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <fstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "flotilla/order/v1/order_service.pb.h"

namespace flotilla::checker {
namespace {

using google::protobuf::Struct;

std::string Text(const Struct& line, const char* field) {
  const auto it = line.fields().find(field);
  return it == line.fields().end() ? "" : it->second.string_value();
}

// Numbers are doubles in JSON, exact up to 2^53; protobuf writes int64 as text.
std::int64_t Number(const Struct& line, const char* field) {
  const auto it = line.fields().find(field);
  if (it == line.fields().end()) return 0;
  std::int64_t number = 0;
  if (it->second.kind_case() != google::protobuf::Value::kStringValue) {
    return static_cast<std::int64_t>(it->second.number_value());
  }
  return absl::SimpleAtoi(it->second.string_value(), &number) ? number : 0;
}

// "PAID", "ORDER_STATE_PAID" or 2.
int State(const Struct& line) {
  const std::string text = Text(line, "state");
  order::v1::OrderState state = order::v1::ORDER_STATE_UNSPECIFIED;
  if (order::v1::OrderState_Parse(text, &state) || order::v1::OrderState_Parse("ORDER_STATE_" + text, &state)) {
    return state;
  }
  return static_cast<int>(Number(line, "state"));
}

absl::Status Add(const Struct& line, ClientLog& log) {
  const std::string type = Text(line, "type");
  const std::string op = Text(line, "op");
  Entry entry{.fate = Fate::kInvoke,
              .body = Text(line, "body"),
              .order_id = Text(line, "order_id"),
              .state = State(line),
              .reason = Text(line, "reason"),
              .time_us = Number(line, "time_us")};
  if (type == "ok") {
    entry.fate = Fate::kOk;
  } else if (type == "fail") {
    entry.fate = Fate::kFail;
  } else if (type == "unknown") {
    entry.fate = Fate::kUnknown;
  } else if (type != "invoke") {
    return absl::InvalidArgumentError(absl::StrCat("type \"", type, "\" is none"));
  }
  constexpr absl::string_view kMoneyOps[] = {"charge", "authorize", "capture", "void", "refund"};
  if (std::find(std::begin(kMoneyOps), std::end(kMoneyOps), op) != std::end(kMoneyOps)) {
    log.money[entry.order_id].push_back({.fate = entry.fate,
                                         .op = op,
                                         .user = Text(line, "user"),
                                         .key = Text(line, "key"),
                                         .amount = Number(line, "amount"),
                                         .moved = Number(line, "moved")});
  } else if (op == "create_order") {
    log.creates[{Text(line, "user"), Text(line, "key")}].push_back(std::move(entry));
  } else if (op != "cancel_order") {
    return absl::InvalidArgumentError(absl::StrCat("op \"", op, "\" is none"));
  } else if (entry.fate == Fate::kOk) {
    log.cancels.emplace_back(Text(line, "user"), std::move(entry));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ClientLog> ReadClientLog(const std::string& path) {
  std::ifstream in(path);
  if (!in) return absl::NotFoundError("cannot read the client log " + path);
  ClientLog log;
  std::string text;
  while (std::getline(in, text)) {
    ++log.lines;
    if (text.empty()) continue;
    Struct line;
    if (!google::protobuf::util::JsonStringToMessage(text, &line).ok()) {
      if (in.eof()) break;  // cut off by its writer's death
      return absl::InvalidArgumentError(absl::StrCat(path, ":", log.lines, ": not a JSON object"));
    }
    if (const absl::Status added = Add(line, log); !added.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ":", log.lines, ": ", added.message()));
    }
  }
  return log;
}

}  // namespace flotilla::checker
