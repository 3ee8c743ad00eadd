#include <algorithm>
#include <numeric>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>

#include "inventory/domain/sku.h"
#include "inventory/store/hold_rows.h"
#include "inventory/store/hold_store.h"
#include "inventory/store/low_stock.h"

namespace flotilla::inventory {
namespace {

using postgres::Array;
using postgres::Care;
using postgres::Statement;
using postgres::Transaction;

// Of a sku s: its limit, whether it is for sale now, its threshold.
#define RULE_COLUMNS                                                                                                 \
  "coalesce(s.user_limit, 0), CASE WHEN now() < s.sale_starts_at THEN 1 WHEN now() >= s.sale_ends_at THEN 2 ELSE 0 " \
  "END, "                                                                                                            \
  "s.low_stock_threshold"

// Holds and then SKUs, and the time, in one round trip. The SKUs' rows have name, currency and current price in columns
// 0, 5, 6, and what only they have from column 9 on; the time, in microseconds, stands in column 6.
const Statement kLockBoth = {"lock_holds_and_skus", R"(
    SELECT h.*, 0 AS kind, 0::bigint AS available, 0::bigint AS user_limit, 0 AS sale, 0::bigint AS threshold
    FROM (SELECT )" HOLD_COLUMNS R"(
      FROM reservation r WHERE r.order_id = ANY($1::uuid[]) ORDER BY r.order_id FOR NO KEY UPDATE) AS h
    UNION ALL
    SELECT s.sku, 0, NULL, NULL, NULL, s.currency, coalesce(s.sale_price_minor, s.price_minor), '', 1, s.available,
           )" RULE_COLUMNS R"(
    FROM (SELECT * FROM sku WHERE sku = ANY($2::text[]) ORDER BY sku FOR NO KEY UPDATE) AS s
    UNION ALL
    SELECT '', 0, NULL, NULL, NULL, '', (extract(epoch FROM now()) * 1000000)::bigint, '', 2, 0, 0, 0, 0)"};

// Takes the units of orders that are hoped to be new, without a look before: nothing where one of them is known, and no
// row for a SKU that has too few. Rows are locked in the array's order, which is sorted.
const Statement kTakeUnits = {"take_units", R"(
    WITH known AS MATERIALIZED (SELECT FROM reservation WHERE order_id = ANY($3::uuid[]) LIMIT 1)
    UPDATE sku s SET available = s.available - d.units, reserved = s.reserved + d.units
    FROM unnest($1::text[], $2::bigint[]) AS d(sku, units)
    WHERE s.sku = d.sku AND s.available >= d.units AND NOT EXISTS (SELECT FROM known)
    RETURNING s.sku, s.currency, coalesce(s.sale_price_minor, s.price_minor), s.available + d.units, )" RULE_COLUMNS
                                            R"(,
              (extract(epoch FROM now()) * 1000000)::bigint)"};
#undef RULE_COLUMNS

const Statement kReadPurchases = {"read_purchases", R"(
    SELECT p.sku, p.user_id, sum(p.units)::bigint
    FROM unnest($1::text[], $2::text[]) AS d(sku, user_id) JOIN purchase p USING (sku, user_id)
    GROUP BY p.sku, p.user_id)"};

#define INSERT_HOLDS \
  R"(
    INSERT INTO reservation AS r (order_id, state, skus, quantities, unit_prices, currency, limited_user, expires_at)
    SELECT i.order_id, 1, i.skus::text[], i.quantities::bigint[], i.unit_prices::bigint[], i.currency, i.limited_user,
           'epoch'::timestamptz + i.expires_us * interval '1 microsecond'
    FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bpchar[], $6::text[], $7::bigint[])
      AS i(order_id, skus, quantities, unit_prices, currency, limited_user, expires_us)
    ORDER BY i.order_id)"
const Statement kInsertNewHolds = {"insert_new_holds", INSERT_HOLDS};
// Takes an expired hold's row over; any other row of that order stays and is not returned.
const Statement kInsertHolds = {"insert_holds", INSERT_HOLDS R"(
    ON CONFLICT (order_id) DO UPDATE
      SET state = 1, skus = excluded.skus, quantities = excluded.quantities, unit_prices = excluded.unit_prices,
          currency = excluded.currency, limited_user = excluded.limited_user, expires_at = excluded.expires_at,
          updated_at = now()
      WHERE r.state = 4
    RETURNING r.order_id)"};
#undef INSERT_HOLDS

// A SKU's row, under lock.
struct Stock {
  std::string currency;
  std::int64_t price = 0;
  std::int64_t left = 0;  // units that earlier orders of the batch have left
  std::int64_t user_limit = 0;
  Sale sale = Sale::kOpen;
  std::int64_t before = 0;  // available units before this batch
  std::int64_t threshold = 0;
};
using Stocks = std::unordered_map<std::string, Stock>;

// What a batch finds, under lock.
struct Found {
  Holds holds;
  Stocks stocks;
  absl::Time now;  // the transaction's
};
// Units by SKU and user; of limited SKUs only.
using Purchased = std::map<std::pair<std::string, std::string>, std::int64_t>;

// From the columns with currency and price, and those with available units and rules.
Stock StockFrom(const postgres::Row& row, int currency, int available) {
  Stock stock;
  stock.currency = row[currency].c_str();
  stock.price = row[currency + 1].as<std::int64_t>();
  stock.left = stock.before = row[available].as<std::int64_t>();
  stock.user_limit = row[available + 1].as<std::int64_t>();
  stock.sale = static_cast<Sale>(row[available + 2].as<int>());
  stock.threshold = row[available + 3].as<std::int64_t>();
  return stock;
}

Found LockBoth(Transaction& transaction, const std::vector<std::string>& order_ids,
               const std::set<std::string>& names) {
  Found found;
  const std::vector<std::string> sorted(names.begin(), names.end());
  for (const auto& row : transaction.Run(kLockBoth, Array(order_ids), Array(sorted))) {
    if (row[8].as<int>() == 0) {
      found.holds.emplace(row[0].c_str(), HoldFrom(row));
      continue;
    }
    if (row[8].as<int>() == 2) {
      found.now = absl::FromUnixMicros(row[6].as<std::int64_t>());
      continue;
    }
    found.stocks.emplace(row[0].c_str(), StockFrom(row, 5, 9));
  }
  return found;
}

// The SKUs as they were before the units of all commands, each with an order of its own, were taken. Nothing where that
// was not to be had; some may have been taken then.
std::optional<Found> TakeAll(Transaction& transaction, std::span<const ReserveCommand> commands,
                             const std::vector<std::string>& order_ids) {
  std::map<std::string, std::int64_t> wanted;
  for (const ReserveCommand& command : commands) {
    for (const Line& line : command.lines) wanted[line.sku] += line.quantity;
  }
  std::vector<std::string> skus;
  std::vector<std::int64_t> units;
  for (const auto& [sku, count] : wanted) {
    skus.push_back(sku);
    units.push_back(count);
  }
  Found found;
  for (const auto& row : transaction.Run(kTakeUnits, Array(skus), Array(units), Array(order_ids))) {
    found.stocks.emplace(row[0].c_str(), StockFrom(row, 1, 3));
    found.now = absl::FromUnixMicros(row[7].as<std::int64_t>());
  }
  if (wanted.empty() || found.stocks.size() != wanted.size()) return std::nullopt;
  return found;
}

// Only for SKUs with a limit; their rows are locked, so nobody else adds to what is read here.
Purchased ReadPurchased(Transaction& transaction, std::span<const ReserveCommand> commands, const Stocks& stocks) {
  Purchased purchased;
  std::vector<std::string> skus, users;
  for (const ReserveCommand& command : commands) {
    for (const Line& line : command.lines) {
      const auto it = stocks.find(line.sku);
      if (it == stocks.end() || it->second.user_limit == 0) continue;
      if (!purchased.emplace(std::pair(line.sku, command.user_id), 0).second) continue;
      skus.push_back(line.sku);
      users.push_back(command.user_id);
    }
  }
  if (skus.empty()) return purchased;
  for (const auto& row : transaction.Run(kReadPurchases, Array(skus), Array(users))) {
    purchased[{row[0].c_str(), row[1].c_str()}] = row[2].as<std::int64_t>();
  }
  return purchased;
}

// The answer to a Reserve of an order that has a row; nothing where its hold expired and may be made anew.
std::optional<ReserveResult> Answer(const StoredHold& stored, const ReserveCommand& command) {
  ReserveResult result;
  result.repeated = true;
  switch (stored.state) {
    case HoldState::kExpired:
      return std::nullopt;
    case HoldState::kReleased:
      result.outcome = Outcome::kReleased;
      return result;
    case HoldState::kHeld:
    case HoldState::kConfirmed:
      if (SameLines(stored.hold.lines, command.lines)) {
        result.hold = stored.hold;
      } else {
        result.outcome = Outcome::kMismatch;
      }
      return result;
  }
  return result;
}

ReserveResult Refusal(Outcome outcome, const Line& line, std::int64_t purchased = 0) {
  return {.outcome = outcome, .sku = line.sku, .purchased = purchased};
}

// All lines or none, from what earlier orders of the batch have left.
ReserveResult Decide(const ReserveCommand& command, Stocks& stocks, Purchased& purchased) {
  ReserveResult result;
  for (const Line& line : command.lines) {
    const auto it = stocks.find(line.sku);
    if (it == stocks.end()) return Refusal(Outcome::kUnknownSku, line);
    const Stock& stock = it->second;
    if (stock.sale != Sale::kOpen) {
      return Refusal(stock.sale == Sale::kEnded ? Outcome::kSaleEnded : Outcome::kSaleNotStarted, line);
    }
    if (stock.left < line.quantity) return Refusal(Outcome::kOutOfStock, line);
    if (stock.user_limit > 0) {
      if (command.user_id.empty()) return Refusal(Outcome::kUserRequired, line);
      const std::int64_t units = purchased[{line.sku, command.user_id}];
      if (units + line.quantity > stock.user_limit) return Refusal(Outcome::kPurchaseLimit, line, units);
    }
    if (!result.hold.currency.empty() && result.hold.currency != stock.currency) {
      return Refusal(Outcome::kCurrencyMismatch, line);
    }
    result.hold.currency = stock.currency;
    result.hold.lines.push_back({line.sku, line.quantity, stock.price});
  }
  for (const Line& line : command.lines) {
    Stock& stock = stocks.at(line.sku);
    stock.left -= line.quantity;
    if (stock.user_limit > 0) purchased[{line.sku, command.user_id}] += line.quantity;
  }
  return result;
}

bool HasLimit(const ReserveCommand& command, const Stocks& stocks) {
  for (const Line& line : command.lines) {
    if (stocks.at(line.sku).user_limit > 0) return true;
  }
  return false;
}

// The holds of the chosen commands as parameters of an insert.
auto Columns(std::span<const ReserveCommand> commands, const std::vector<std::size_t>& chosen, const Stocks& stocks,
             const std::vector<ReserveResult>& results) {
  std::vector<std::string> ids, skus, quantities, prices, currencies, users;
  std::vector<std::int64_t> expiries;
  for (const std::size_t i : chosen) {
    std::vector<std::string> line_skus;
    std::vector<std::int64_t> line_quantities, line_prices;
    for (const Line& line : results[i].hold.lines) {
      line_skus.push_back(line.sku);
      line_quantities.push_back(line.quantity);
      line_prices.push_back(line.unit_price);
    }
    ids.push_back(commands[i].order_id);
    skus.push_back(postgres::Literal(line_skus));
    quantities.push_back(postgres::Literal(line_quantities));
    prices.push_back(postgres::Literal(line_prices));
    currencies.push_back(results[i].hold.currency);
    users.push_back(HasLimit(commands[i], stocks) ? commands[i].user_id : "");
    expiries.push_back(absl::ToUnixMicros(results[i].hold.expires_at));
  }
  return std::tuple(Array(ids), Array(skus), Array(quantities), Array(prices), Array(currencies), Array(users),
                    Array(expiries));
}

enum class Units { kToTake, kTaken };

// Takes the units of the chosen commands' holds, where that is yet to be done, and writes what goes with them.
void WriteUnits(Transaction& transaction, Units units, std::span<const ReserveCommand> commands,
                const std::vector<std::size_t>& chosen, const Stocks& stocks) {
  Changes changes;
  Purchases purchases;
  for (const std::size_t i : chosen) {
    const ReserveCommand& command = commands[i];
    for (const Line& line : command.lines) {
      changes[line.sku].available -= line.quantity;
      changes[line.sku].reserved += line.quantity;
      const std::int64_t limit = stocks.at(line.sku).user_limit;
      if (limit > 0) purchases.Add(line.sku, command.user_id, command.order_id, line.quantity, limit);
    }
  }
  if (units == Units::kToTake) Move(transaction, changes);
  purchases.Insert(transaction);
  std::vector<LowStock> low;
  for (const auto& [sku, change] : changes) {
    const Stock& stock = stocks.at(sku);
    const std::int64_t available = stock.before + change.available;
    if (BecomesLow(available, change.available, stock.threshold)) low.push_back({sku, available, stock.threshold});
  }
  AppendLowStock(transaction, low);
}

void InsertNew(Transaction& transaction, std::span<const ReserveCommand> commands,
               const std::vector<std::size_t>& chosen, const Stocks& stocks,
               const std::vector<ReserveResult>& results) {
  std::apply([&](const auto&... column) { transaction.Defer(kInsertNewHolds, column...); },
             Columns(commands, chosen, stocks, results));
}

// Writes the holds of the chosen commands; returns the ids of those that another instance wrote meanwhile.
std::vector<std::string> Take(Transaction& transaction, Care care, std::span<const ReserveCommand> commands,
                              std::vector<std::size_t> chosen, const Found& found,
                              const std::vector<ReserveResult>& results) {
  if (chosen.empty()) return {};
  std::vector<std::string> lost;
  if (care == Care::kHope) {
    InsertNew(transaction, commands, chosen, found.stocks, results);
  } else {
    std::set<std::string> inserted;
    const auto rows = std::apply([&](const auto&... column) { return transaction.Run(kInsertHolds, column...); },
                                 Columns(commands, chosen, found.stocks, results));
    for (const auto& row : rows) inserted.insert(row[0].c_str());
    std::erase_if(chosen, [&](std::size_t i) {
      const bool raced = !inserted.contains(commands[i].order_id);
      if (raced) lost.push_back(commands[i].order_id);
      return raced;
    });
  }
  WriteUnits(transaction, Units::kToTake, commands, chosen, found.stocks);
  return lost;
}

// The usual case in one look fewer: every order is new and gets what it asks for. False where it is not so; then the
// transaction is to be rolled back.
bool TakeNew(Transaction& transaction, std::span<const ReserveCommand> commands,
             const std::vector<std::string>& order_ids, std::vector<ReserveResult>& results) {
  std::optional<Found> found = TakeAll(transaction, commands, order_ids);
  if (!found.has_value()) return false;
  Purchased purchased = ReadPurchased(transaction, commands, found->stocks);
  std::vector<std::size_t> all(commands.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  for (const std::size_t i : all) {
    results[i] = Decide(commands[i], found->stocks, purchased);
    if (results[i].outcome != Outcome::kOk) return false;
    results[i].hold.expires_at = found->now + commands[i].hold;
  }
  InsertNew(transaction, commands, all, found->stocks, results);
  WriteUnits(transaction, Units::kTaken, commands, all, found->stocks);
  return true;
}

// A refused order that had no row when the locks were asked for may have got one from another instance while this one
// waited for the SKUs: then it was refused for its own units, and its answer is that hold. True where any order was
// refused for units.
bool AnswerRefused(Transaction& transaction, std::span<const ReserveCommand> commands,
                   const std::unordered_map<std::string, std::size_t>& first, const Holds& known,
                   std::vector<ReserveResult>& results) {
  std::vector<std::string> refused;
  for (const auto& [id, i] : first) {
    const Outcome outcome = results[i].outcome;
    if (!known.contains(id) && (outcome == Outcome::kOutOfStock || outcome == Outcome::kPurchaseLimit)) {
      refused.push_back(id);
    }
  }
  for (const auto& [id, hold] : ReadHolds(transaction, refused)) {
    const std::size_t i = first.at(id);
    if (const auto answer = Answer(hold, commands[i]); answer.has_value()) results[i] = *answer;
  }
  return !refused.empty();
}

}  // namespace

absl::StatusOr<std::vector<ReserveResult>> HoldStore::Reserve(std::span<const ReserveCommand> commands) {
  // A repeat in the same batch gets the answer of the first.
  std::unordered_map<std::string, std::size_t> first;
  std::vector<std::string> ids;
  std::set<std::string> skus;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    if (!first.emplace(commands[i].order_id, i).second) continue;
    ids.push_back(commands[i].order_id);
    for (const Line& line : commands[i].lines) skus.insert(line.sku);
  }
  std::vector<ReserveResult> results;
  const absl::Status status = session_.TransactHopefully([&](Transaction& transaction, Care care) {
    results.assign(commands.size(), {});
    if (care == Care::kHope && hopeful_ && ids.size() == commands.size()) {
      return TakeNew(transaction, commands, ids, results) ? absl::OkStatus() : transaction.Dash();
    }
    Found found = LockBoth(transaction, ids, skus);
    Purchased purchased = ReadPurchased(transaction, commands, found.stocks);
    std::vector<std::size_t> chosen;
    for (const std::string& id : ids) {
      const std::size_t i = first.at(id);
      const auto hold = found.holds.find(id);
      const auto answer = hold == found.holds.end() ? std::nullopt : Answer(hold->second, commands[i]);
      results[i] = answer.has_value() ? *answer : Decide(commands[i], found.stocks, purchased);
      if (answer.has_value() || results[i].outcome != Outcome::kOk) continue;
      results[i].hold.expires_at = found.now + commands[i].hold;
      chosen.push_back(i);
      results[i].renewed = hold != found.holds.end();
      if (results[i].renewed) care = Care::kLook;  // the row of a hold that has expired is taken over
    }
    const std::vector<std::string> lost = Take(transaction, care, commands, chosen, found, results);
    const bool any_refused = AnswerRefused(transaction, commands, first, found.holds, results);
    // What was refused may have been refused for the units of those.
    if (any_refused && !lost.empty()) return absl::UnavailableError("a reservation changed meanwhile; ask again");
    const Holds holds = LockHolds(transaction, lost);
    for (const std::string& id : lost) {
      const std::size_t i = first.at(id);
      const auto hold = holds.find(id);
      const auto answer = hold == holds.end() ? std::nullopt : Answer(hold->second, commands[i]);
      if (!answer.has_value()) return absl::UnavailableError("a reservation changed meanwhile; ask again");
      results[i] = *answer;
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  hopeful_ = std::ranges::all_of(results, [](const ReserveResult& result) { return result.outcome == Outcome::kOk; });
  for (std::size_t i = 0; i < commands.size(); ++i) {
    const std::size_t original = first.at(commands[i].order_id);
    if (original == i) continue;
    results[i] = results[original];
    if (results[i].outcome == Outcome::kOk && !SameLines(commands[original].lines, commands[i].lines)) {
      results[i] = {.outcome = Outcome::kMismatch, .repeated = true};
    }
  }
  return results;
}

}  // namespace flotilla::inventory
