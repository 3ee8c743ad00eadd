// StockGate::Take: cheap refusals first, then the scripts, then the undo of what was taken of orders that got not all
// of their lines.
#include <functional>
#include <map>

#include "async/steady_time.h"
#include "inventory/gate/ask.h"
#include "inventory/gate/keys.h"
#include "inventory/gate/segments.h"
#include "inventory/gate/stock_gate.h"

namespace flotilla::inventory {
namespace {

using Kind = TakeResult::Kind;

// How far the time that is kept here may be from PostgreSQL's, which decides about sale windows.
constexpr absl::Duration kClockMargin = absl::Seconds(1);

// A command with a line that needs no look at the stock: sold out a moment ago, or not for sale now.
struct Closed {
  std::size_t command;
  Outcome refusal;
};
// By SKU and home segment, which have one hash tag.
using ClosedByTag = std::map<std::pair<std::string, int>, std::vector<Closed>>;

// The time, as the two that need it have it.
struct Moment {
  absl::Time database;
  async::SteadyTime steady;
};

std::optional<Outcome> RefusalOf(const std::string& sku, StockGate::Memory& memory, const Moment& now) {
  if (const std::optional<SellingRules> rules = memory.rules.Find(sku); rules.has_value()) {
    const Sale sale = rules->At(now.database, kClockMargin);
    if (sale == Sale::kNotStarted) return Outcome::kSaleNotStarted;
    if (sale == Sale::kEnded) return Outcome::kSaleEnded;
  }
  if (memory.sold_out.Has(sku, now.steady)) return Outcome::kOutOfStock;
  return std::nullopt;
}

absl::StatusOr<std::vector<redis::Reply>> Ask(redis::Client& client, std::span<const redis::Command> commands) {
  absl::StatusOr<std::vector<redis::Reply>> replies = client.Pipeline(commands);
  if (!replies.ok()) return replies;
  for (const redis::Reply& reply : *replies) {
    if (reply.error()) return absl::UnavailableError(std::get<absl::Status>(reply.value).message());
  }
  return replies;
}

// Refuses the closed commands but those that have a mark, which are repeats, and those of a SKU that the gate has lost
// meanwhile: these are added to `open`. Nearly always there are none, so the marks of all orders of a SKU are asked for
// as one.
absl::Status RefuseClosed(redis::Client& client, std::span<const ReserveCommand> commands, const ClosedByTag& closed,
                          std::vector<TakeResult>& results, std::vector<std::size_t>& open) {
  std::vector<redis::Command> asked;
  for (const auto& [tag, items] : closed) {
    const auto& [sku, home] = tag;
    redis::Command exists = {"EXISTS", YoungKey(sku, home)};
    for (const Closed& item : items) exists.push_back(MarkKey(sku, home, commands[item.command].order_id));
    asked.push_back({"EXISTS", StockKey(sku, home)});
    asked.push_back(std::move(exists));
  }
  const auto any = Ask(client, asked);
  if (!any.ok()) return any.status();

  struct Doubt {
    std::size_t command;
    std::size_t young, mark;  // indexes of the replies
  };
  std::vector<Doubt> doubts;
  asked.clear();
  std::size_t reply = 0;
  for (const auto& [tag, items] : closed) {
    const auto& [sku, home] = tag;
    const bool known = (*any)[reply++].integer() > 0, doubtful = (*any)[reply++].integer() > 0;
    const std::size_t young = asked.size();
    if (known && doubtful) asked.push_back({"EXISTS", YoungKey(sku, home)});
    for (const Closed& item : items) {
      if (!known) {
        open.push_back(item.command);
        continue;
      }
      results[item.command] = {.kind = Kind::kRefused, .refusal = item.refusal, .sku = sku};
      if (!doubtful) continue;
      doubts.push_back({item.command, young, asked.size()});
      asked.push_back({"EXISTS", MarkKey(sku, home, commands[item.command].order_id)});
    }
  }
  if (doubts.empty()) return absl::OkStatus();
  const auto each = Ask(client, asked);
  if (!each.ok()) return each.status();
  for (const Doubt& doubt : doubts) {
    if ((*each)[doubt.mark].integer() == 1) {
      results[doubt.command] = {};
      open.push_back(doubt.command);
    } else if ((*each)[doubt.young].integer() == 1) {
      results[doubt.command] = {.kind = Kind::kUnsure};
    }
  }
  return absl::OkStatus();
}

// What a command comes to, by the answers for its lines. Of several reasons to refuse the surest counts.
TakeResult Judge(std::span<const AskedLine> lines, const std::function<void(const std::string&)>& sold_out) {
  TakeResult result;
  bool unsure = false;
  for (const AskedLine& asked : lines) {
    const int answer = asked.answer;
    const std::string& sku = asked.line->sku;
    if (asked.Holds()) result.taken.push_back(sku);
    if (answer == kMissing) result.missing.push_back(sku);
    unsure = unsure || answer == kUnsure;
    if (answer == kNothingLeft) sold_out(sku);
    if ((answer == kShort || answer == kNothingLeft || answer == kOverLimit) && result.kind != Kind::kRefused) {
      result.kind = Kind::kRefused;
      result.sku = sku;
      result.refusal = answer == kOverLimit ? Outcome::kPurchaseLimit : Outcome::kOutOfStock;
    }
  }
  if (result.kind == Kind::kRefused) return result;
  if (!result.missing.empty()) {
    result.kind = Kind::kMissing;
  } else if (unsure) {
    result.kind = Kind::kUnsure;
  }
  return result;
}

}  // namespace

absl::StatusOr<std::vector<TakeResult>> StockGate::Take(std::span<const ReserveCommand> commands) {
  const Moment now{memory_.now(), async::SteadyNow()};
  const std::uint64_t clears = memory_.sold_out.clears();
  std::vector<TakeResult> results(commands.size());
  std::vector<std::size_t> open;
  ClosedByTag closed;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    bool is_open = true;
    for (const Line& line : commands[i].lines) {
      const std::optional<Outcome> refusal = RefusalOf(line.sku, memory_, now);
      if (!refusal.has_value()) continue;
      closed[{line.sku, HomeOf(commands[i], memory_.segments)}].push_back({i, *refusal});
      is_open = false;
      break;
    }
    if (is_open) open.push_back(i);
  }
  if (!closed.empty()) {
    if (auto status = RefuseClosed(client_, commands, closed, results, open); !status.ok()) return status;
  }
  if (open.empty()) return results;

  const absl::StatusOr<std::vector<AskedLine>> asked = AskForLines(client_, memory_, commands, open);
  if (!asked.ok()) return asked.status();
  std::span<const AskedLine> rest = *asked;
  std::vector<Returned> undo;
  for (const std::size_t i : open) {
    const std::size_t count = commands[i].lines.size();
    results[i] =
        Judge(rest.first(count), [&](const std::string& sku) { memory_.sold_out.Set(sku, now.steady, clears); });
    rest = rest.subspan(count);
    if (results[i].kind == Kind::kTaken || results[i].taken.empty()) continue;
    undo.push_back({commands[i].order_id, std::move(results[i].taken)});
    results[i].taken.clear();
  }
  if (!undo.empty()) {
    if (auto status = Give(undo); !status.ok()) return status;
  }
  return results;
}

}  // namespace flotilla::inventory
