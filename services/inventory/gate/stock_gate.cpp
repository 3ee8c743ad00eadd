#include "inventory/gate/stock_gate.h"

#include "absl/strings/numbers.h"

namespace flotilla::inventory {
namespace {

// A mark outlives its hold, so that a late repeat or return still finds it.
constexpr absl::Duration kMarkMargin = absl::Seconds(60);

// KEYS: stock, mark. ARGV: units, seconds the mark lives. 1 taken, 2 taken before, -1 short, -2 unknown.
const redis::Script& TakeScript() {
  static const auto* script = new redis::Script(R"(
if redis.call('EXISTS', KEYS[2]) == 1 then return 2 end
local stock = redis.call('GET', KEYS[1])
if not stock then return -2 end
if tonumber(stock) < tonumber(ARGV[1]) then return -1 end
redis.call('DECRBY', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
return 1)");
  return *script;
}

// KEYS: stock, mark. A gate that does not know the SKU learns it from SQL, where the units are back already.
const redis::Script& GiveScript() {
  static const auto* script = new redis::Script(R"(
local units = redis.call('GET', KEYS[2])
if not units then return 0 end
redis.call('DEL', KEYS[2])
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('INCRBY', KEYS[1], units) end
return 1)");
  return *script;
}

// KEYS: stock. ARGV: most units.
const redis::Script& LowerScript() {
  static const auto* script = new redis::Script(R"(
local stock = redis.call('GET', KEYS[1])
if stock and tonumber(stock) > tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) return 1 end
return 0)");
  return *script;
}

// KEYS: stock. ARGV: units to add.
const redis::Script& AddScript() {
  static const auto* script = new redis::Script(R"(
if redis.call('EXISTS', KEYS[1]) == 1 then return redis.call('INCRBY', KEYS[1], ARGV[1]) end
return 0)");
  return *script;
}

// KEYS: stock. ARGV: expected, new.
const redis::Script& CorrectScript() {
  static const auto* script = new redis::Script(R"(
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) return 1 end
return 0)");
  return *script;
}

std::string StockKey(const std::string& sku) { return "flotilla:stock:{" + sku + "}"; }
std::string MarkKey(const std::string& sku, const std::string& order_id) {
  return "flotilla:hold:{" + sku + "}:" + order_id;
}

absl::Status FirstError(const std::vector<redis::Reply>& replies) {
  for (const redis::Reply& reply : replies) {
    if (reply.error()) return absl::UnavailableError(std::get<absl::Status>(reply.value).message());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<TakeResult>> StockGate::Take(std::span<const ReserveCommand> commands) {
  std::vector<redis::Client::Invocation> invocations;
  for (const ReserveCommand& command : commands) {
    const std::string seconds = std::to_string(absl::ToInt64Seconds(command.hold + kMarkMargin));
    for (const Line& line : command.lines) {
      invocations.push_back(
          {{StockKey(line.sku), MarkKey(line.sku, command.order_id)}, {std::to_string(line.quantity), seconds}});
    }
  }
  const absl::StatusOr<std::vector<redis::Reply>> replies = client_.Eval(TakeScript(), invocations);
  if (!replies.ok()) return replies.status();
  if (auto status = FirstError(*replies); !status.ok()) return status;

  std::vector<TakeResult> results(commands.size());
  std::vector<Returned> undo;
  std::size_t next = 0;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    Returned taken{commands[i].order_id, {}};
    for (const Line& line : commands[i].lines) {
      const long long answer = (*replies)[next++].integer();
      if (answer == 1) taken.skus.push_back(line.sku);
      if (answer == -2) results[i].missing.push_back(line.sku);
      if (answer == -1 && results[i].kind != TakeResult::Kind::kRefused) {
        results[i].kind = TakeResult::Kind::kRefused;
        results[i].sku = line.sku;
      }
    }
    if (results[i].kind == TakeResult::Kind::kTaken && !results[i].missing.empty()) {
      results[i].kind = TakeResult::Kind::kMissing;
    }
    if (results[i].kind == TakeResult::Kind::kTaken) {
      results[i].taken = std::move(taken.skus);
    } else if (!taken.skus.empty()) {
      undo.push_back(std::move(taken));
    }
  }
  if (!undo.empty()) {
    if (auto status = Give(undo); !status.ok()) return status;
  }
  return results;
}

absl::Status StockGate::Give(std::span<const Returned> returned) {
  std::vector<redis::Client::Invocation> invocations;
  for (const Returned& item : returned) {
    for (const std::string& sku : item.skus) {
      invocations.push_back({{StockKey(sku), MarkKey(sku, item.order_id)}, {}});
    }
  }
  return Run(GiveScript(), invocations);
}

absl::Status StockGate::Load(std::span<const std::pair<std::string, std::int64_t>> stock) {
  std::vector<redis::Command> commands;
  for (const auto& [sku, units] : stock) commands.push_back({"SET", StockKey(sku), std::to_string(units), "NX"});
  if (commands.empty()) return absl::OkStatus();
  const absl::StatusOr<std::vector<redis::Reply>> replies = client_.Pipeline(commands);
  return replies.ok() ? FirstError(*replies) : replies.status();
}

absl::Status StockGate::LowerTo(std::span<const std::pair<std::string, std::int64_t>> stock) {
  std::vector<redis::Client::Invocation> invocations;
  for (const auto& [sku, units] : stock) invocations.push_back({{StockKey(sku)}, {std::to_string(units)}});
  return Run(LowerScript(), invocations);
}

absl::Status StockGate::Add(const std::string& sku, std::int64_t delta) {
  const redis::Client::Invocation invocation{{StockKey(sku)}, {std::to_string(delta)}};
  return Run(AddScript(), {&invocation, 1});
}

absl::StatusOr<std::vector<std::optional<std::int64_t>>> StockGate::Read(std::span<const std::string> skus) {
  std::vector<redis::Command> commands;
  for (const std::string& sku : skus) commands.push_back({"GET", StockKey(sku)});
  std::vector<std::optional<std::int64_t>> out;
  if (commands.empty()) return out;
  const absl::StatusOr<std::vector<redis::Reply>> replies = client_.Pipeline(commands);
  if (!replies.ok()) return replies.status();
  if (auto status = FirstError(*replies); !status.ok()) return status;
  for (const redis::Reply& reply : *replies) {
    std::int64_t units = 0;
    if (!reply.nil() && absl::SimpleAtoi(reply.string(), &units)) {
      out.emplace_back(units);
    } else {
      out.emplace_back(std::nullopt);
    }
  }
  return out;
}

absl::Status StockGate::Correct(std::span<const Correction> corrections) {
  std::vector<redis::Client::Invocation> invocations;
  for (const Correction& correction : corrections) {
    invocations.push_back(
        {{StockKey(correction.sku)}, {std::to_string(correction.expected), std::to_string(correction.stock)}});
  }
  return Run(CorrectScript(), invocations);
}

absl::Status StockGate::Run(const redis::Script& script, std::span<const redis::Client::Invocation> invocations) {
  if (invocations.empty()) return absl::OkStatus();
  const absl::StatusOr<std::vector<redis::Reply>> replies = client_.Eval(script, invocations);
  return replies.ok() ? FirstError(*replies) : replies.status();
}

}  // namespace flotilla::inventory
