#include "checker/checker.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "checker/client_log.h"
#include "checker/facts.h"
#include "checker/money_calls.h"
#include "checker/payment_sql.h"
#include "checker/snapshot.h"
#include "checker/source_events.h"
#include "checker/sql.h"
#include "postgres/session.h"
#include "redis/client.h"

namespace flotilla::checker {
namespace {

// Beyond this many rows a broken table is broken enough.
constexpr int kMostProblems = 10000;

void Judge(Snapshot& snapshot, const char* problems, Promise promise, Report& report) {
  const std::string sql = absl::StrCat("SELECT * FROM (", problems, ") problems LIMIT ", kMostProblems);
  for (const auto& row : snapshot.Query(sql)) report.Violate(promise, row[0].c_str());
}

std::int64_t Count(Snapshot& snapshot, const char* sql) { return snapshot.Query(sql)[0][0].as<std::int64_t>(); }

// ---- I1

// What the gate has of the SKUs, over all segments; SKUs of which one is not known are left out.
absl::StatusOr<std::map<std::string, std::int64_t>> ReadGate(redis::Client& client,
                                                             const std::vector<std::string>& skus, int segments,
                                                             Report& report) {
  std::vector<redis::Command> commands;
  for (const std::string& sku : skus) {
    for (int i = 0; i < segments; ++i) {
      const std::string segment = i == 0 ? "" : absl::StrCat(sql::kStockKeySegment, i);
      commands.push_back({"GET", absl::StrCat(sql::kStockKeyPrefix, sku, segment, sql::kStockKeySuffix)});
    }
  }
  const absl::StatusOr<std::vector<redis::Reply>> replies = client.Pipeline(commands);
  if (!replies.ok()) return replies.status();
  std::map<std::string, std::int64_t> gate;
  auto reply = replies->begin();
  for (const std::string& sku : skus) {
    std::int64_t sum = 0;
    bool known = true;
    for (int i = 0; i < segments; ++i, ++reply) {
      std::int64_t units = 0;
      const bool number = !reply->error() && absl::SimpleAtoi(reply->string(), &units);
      if (!number && !reply->nil()) {
        report.Violate(Promise::kStock, absl::StrCat("SKU ", sku, ": its counter in Redis is no number"));
      }
      known = known && number;
      sum += units;
    }
    if (known) gate[sku] = sum;
  }
  return gate;
}

struct Drift {
  std::int64_t gate;
  std::int64_t available;
};
using Drifts = std::map<std::string, Drift>;

absl::Status FindDrift(redis::Client& client, int segments, const std::vector<std::string>& skus,
                       const std::map<std::string, std::int64_t>& available, Report& report, Drifts& drifts) {
  const auto gate = ReadGate(client, skus, segments, report);
  if (!gate.ok()) return gate.status();
  for (const auto& [sku, units] : *gate) {
    const auto it = available.find(sku);
    if (it != available.end() && it->second != units) drifts[sku] = {units, it->second};
  }
  return absl::OkStatus();
}

// At rest the gate must not let more through than SQL has. Less only costs sales.
absl::Status CheckGate(Snapshot& inventory, const Options& options, Report& report) {
  const std::size_t colon = options.redis.rfind(':');
  redis::Options address;
  if (colon == std::string::npos ||
      !absl::SimpleAtoi(absl::string_view(options.redis).substr(colon + 1), &address.port)) {
    return absl::InvalidArgumentError("redis: host:port expected, not " + options.redis);
  }
  address.host = options.redis.substr(0, colon);
  address.command_timeout = absl::Seconds(5);
  redis::Client client(address);

  constexpr std::size_t kBatch = 2000;
  Drifts drifts;
  absl::Status status;
  std::vector<std::string> skus;
  std::map<std::string, std::int64_t> available;
  const auto flush = [&] {
    if (status.ok() && !skus.empty())
      status = FindDrift(client, options.gate_segments, skus, available, report, drifts);
    skus.clear();
    available.clear();
  };
  inventory.Stream(sql::kSkus, [&](const pqxx::row& row) {
    skus.push_back(row[0].c_str());
    available[skus.back()] = row[1].as<std::int64_t>();
    if (skus.size() == kBatch) flush();
  });
  flush();

  const absl::Time deadline = absl::Now() + options.redis_patience;
  while (status.ok() && !drifts.empty() && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(200));
    for (const auto& [sku, drift] : drifts) skus.push_back(sku);
    drifts.clear();
    Snapshot fresh(options.inventory_postgres);
    for (const auto& row : fresh.Query(sql::kAvailable, postgres::Literal(skus))) {
      available[row[0].c_str()] = row[1].as<std::int64_t>();
    }
    flush();
  }
  for (const auto& [sku, drift] : drifts) {
    std::string text = absl::StrCat("SKU ", sku, ": Redis has ", drift.gate, ", SQL ", drift.available);
    if (drift.gate > drift.available) {
      report.Violate(Promise::kStock, std::move(text));
    } else {
      report.Note(Promise::kStock, std::move(text));
    }
  }
  return status;
}

absl::Status CheckStock(Snapshot& inventory, const Options& options, Report& report) {
  Judge(inventory, sql::kStockProblems, Promise::kStock, report);
  Judge(inventory, sql::kReservationProblems, Promise::kStock, report);
  Judge(inventory, sql::kPurchaseProblems, Promise::kStock, report);
  Judge(inventory, sql::kStockEventProblems, Promise::kStock, report);
  report.Judged(Promise::kStock, Count(inventory, "SELECT count(*) FROM sku"), "SKUs");
  if (options.redis.empty()) {
    report.Note(Promise::kStock, "Redis was not compared: no --redis");
  } else if (!options.quiescent) {
    report.Note(Promise::kStock, "Redis was not compared: the fleet is not at rest");
  } else {
    return CheckGate(inventory, options, report);
  }
  return absl::OkStatus();
}

// ---- I2

void CheckLedger(Snapshot& payment, Report& report) {
  for (const char* problems :
       {sql::kCurrencyProblems, sql::kAccountProblems, sql::kTransferProblems, sql::kCauseProblems,
        sql::kDepositProblems, sql::kChargeProblems, sql::kSettlementProblems, sql::kJournalProblems,
        sql::kProviderProblems, sql::kCorrectionProblems, sql::kStatementProblems}) {
    Judge(payment, problems, Promise::kLedger, report);
  }
  report.Judged(Promise::kLedger, Count(payment, sql::kTransferCount), "transfers");
}

// ---- I3 and the clients' part of I5

using Key = std::pair<std::string, std::string>;

std::string Of(const Key& key) { return absl::StrCat("user ", key.first, ", key ", key.second); }

// Whether an order that stands where it stands may have been answered with `state`.
bool MayHaveBeen(const OrderFact& order, int state) {
  return state > 0 && state <= kPartiallyRefunded && (order.visited & (1 << state)) != 0;
}

void CheckAcknowledged(const Key& key, const Entry& entry, const Facts& facts, Report& report) {
  const auto it = facts.orders.find(ParseId(entry.order_id.c_str()));
  const auto violate = [&](absl::string_view what) {
    report.Violate(Promise::kAcknowledged, absl::StrCat(Of(key), ": order ", entry.order_id, " ", what));
  };
  if (it == facts.orders.end()) return violate("was acknowledged but does not exist");
  if (it->second.user != key.first) return violate("was acknowledged but is another user's");
  if (!MayHaveBeen(it->second, entry.state)) {
    violate(absl::StrCat("was answered as ", Name(static_cast<OrderState>(entry.state)), ", is ",
                         Name(it->second.state), " and never was that"));
  }
}

// All that clients saw of one idempotency key.
void CheckKey(const Key& key, const std::vector<Entry>& entries, bool quiescent, const Facts& facts, Report& report) {
  const Entry* ok = nullptr;
  std::int64_t invoked = 0, fated = 0;
  bool unknown = false;
  std::map<std::string, std::int64_t> first_invoke;  // by body
  std::map<std::string, std::int64_t> first_ok;
  const auto earliest = [](std::map<std::string, std::int64_t>& times, const Entry& entry) {
    const auto [it, inserted] = times.try_emplace(entry.body, entry.time_us);
    if (!inserted) it->second = std::min(it->second, entry.time_us);
  };
  for (const Entry& entry : entries) {
    ++(entry.fate == Fate::kInvoke ? invoked : fated);
    unknown = unknown || entry.fate == Fate::kUnknown;
    if (entry.fate == Fate::kInvoke) earliest(first_invoke, entry);
    if (entry.fate != Fate::kOk) continue;
    earliest(first_ok, entry);
    CheckAcknowledged(key, entry, facts, report);
    if (ok == nullptr) {
      ok = &entry;
    } else if (ok->order_id != entry.order_id) {
      report.Violate(Promise::kOnce,
                     absl::StrCat(Of(key), ": answered with the orders ", ok->order_id, " and ", entry.order_id));
    } else if (ok->body != entry.body) {
      report.Violate(Promise::kOnce,
                     absl::StrCat(Of(key), ": two bodies were accepted: ", ok->body, " and ", entry.body));
    }
  }
  const auto logged = facts.logged.find(key);
  bool refused = false;  // otherwise than for its body
  for (const Entry& entry : entries) {
    if (entry.fate != Fate::kFail) continue;
    if (entry.reason == "IDEMPOTENCY_KEY_REUSED") {
      if (first_invoke.size() == 1) {
        report.Violate(Promise::kOnce,
                       absl::StrCat(Of(key), ": refused as reused, but there was one body only: ", entry.body));
      }
      continue;
    }
    refused = true;
    // Validation comes before the key is looked at.
    if (entry.reason == "INVALID_FIELD") continue;
    for (const auto& [body, time] : first_ok) {
      const auto begun = first_invoke.find(entry.body);
      if (begun == first_invoke.end() || begun->second <= time) continue;
      report.Violate(Promise::kOnce,
                     body == entry.body
                         ? absl::StrCat(Of(key), ": was accepted, then its repeat refused: ", entry.reason)
                         : absl::StrCat(Of(key), ": was accepted, then another body refused as ", entry.reason,
                                        " and not as IDEMPOTENCY_KEY_REUSED"));
    }
  }
  if (quiescent && refused && ok == nullptr && !unknown && invoked <= fated && logged != facts.logged.end()) {
    report.Violate(Promise::kAcknowledged,
                   absl::StrCat(Of(key), ": was refused, but order ", ToString(logged->second), " exists"));
  }
  if (ok != nullptr && logged != facts.logged.end() && logged->second != ParseId(ok->order_id.c_str())) {
    report.Violate(Promise::kOnce, absl::StrCat(Of(key), ": answered with order ", ok->order_id, ", stored is ",
                                                ToString(logged->second)));
  }
}

void CheckClients(const ClientLog& log, bool quiescent, const Facts& facts, Report& report) {
  for (const auto& [key, entries] : log.creates) CheckKey(key, entries, quiescent, facts, report);
  for (const auto& [user, entry] : log.cancels) CheckAcknowledged({user, "(cancel)"}, entry, facts, report);
  report.Judged(Promise::kAcknowledged, static_cast<std::int64_t>(log.creates.size()), "keys of the client log");
}

// ---- I4

// `notify` was read before the orders, so whatever it handled must be there.
void CheckDeliveries(Snapshot& notify, bool quiescent, Facts& facts, Report& report) {
  const auto key_of = [](const char* event_id) {
    const absl::string_view text = event_id;
    const std::size_t slash = text.rfind('/');
    EventKey key{0, 0};
    if (slash == text.npos || !absl::SimpleAtoi(text.substr(slash + 1), &key.sequence)) return key;
    key.order = ParseId(std::string(text.substr(0, slash)).c_str());
    return key;
  };
  const auto find = [&](const char* event_id) -> std::pair<const EventKey, Facts::Delivery>* {
    const auto it = facts.events.find(key_of(event_id));
    return it == facts.events.end() ? nullptr : &*it;
  };
  // An order's events that are kept have no gaps, so one of it that is not there went before them.
  const auto dropped = [&](const char* event_id) {
    const EventKey key = key_of(event_id);
    const auto order = facts.orders.find(key.order);
    return order != facts.orders.end() && order->second.may_begin_late && key.sequence >= 1 &&
           key.sequence <= order->second.version;
  };
  notify.Stream(sql::kHandledEvents, [&](const pqxx::row& row) {
    if (auto* event = find(row[0].c_str()); event != nullptr) {
      ++event->second.handled;
    } else if (!dropped(row[0].c_str())) {
      report.Violate(Promise::kEvents, absl::StrCat("event ", row[0].c_str(), ": handled but does not exist"));
    }
  });
  notify.Stream(sql::kNotifications, [&](const pqxx::row& row) {
    auto* event = find(row[0].c_str());
    if (event == nullptr) {
      if (dropped(row[0].c_str())) return;
      report.Violate(Promise::kEvents, absl::StrCat("event ", row[0].c_str(), ": notified but does not exist"));
      return;
    }
    ++event->second.notified;
    const auto order = facts.orders.find(event->first.order);
    if (order != facts.orders.end() && order->second.user != row[1].c_str()) {
      report.Violate(Promise::kEvents, absl::StrCat("event ", row[0].c_str(), ": notified to ", row[1].c_str(),
                                                    ", not to ", order->second.user));
    }
  });
  for (const auto& [key, delivery] : facts.events) {
    const auto violate = [&](absl::string_view what) {
      report.Violate(Promise::kEvents, absl::StrCat("event ", ToString(key.order), "/", key.sequence, ": ", what));
    };
    if (delivery.handled > 1 || (quiescent && delivery.handled == 0)) {
      violate(absl::StrCat("handled ", delivery.handled, " times"));
    } else if (delivery.notified != delivery.handled) {
      violate(absl::StrCat("handled ", delivery.handled, " times, notified ", delivery.notified, " times"));
    }
  }
  Judge(notify, sql::kNotificationProblems, Promise::kEvents, report);
  report.Judged(Promise::kEvents, static_cast<std::int64_t>(facts.events.size()), "events");
}

// ---- I5 and I6, over the databases

void LoadReservations(Snapshot& inventory, bool quiescent, Facts& facts, Report& report) {
  inventory.Stream(sql::kReservations, [&](const pqxx::row& row) {
    const OrderId id = ParseId(row[0].c_str());
    const auto state = static_cast<ReservationState>(row[1].as<int>());
    const auto it = facts.orders.find(id);
    if (it == facts.orders.end()) {
      // A hold without its order ends by itself, and so may a release come without one.
      if (quiescent && state == kConfirmed) {
        report.Violate(Promise::kSettled, absl::StrCat("order ", row[0].c_str(), ": is absent, its stock was sold"));
      }
      return;
    }
    OrderFact& order = it->second;
    const auto violate = [&](const char* what) {
      report.Violate(Promise::kOnce, absl::StrCat("order ", row[0].c_str(), ": ", what));
    };
    if (order.reservation != kNoReservation) violate("has two reservations");
    order.reservation = state;
    std::vector<LineFact> lines = Lines(row[2], row[3], row[4]);
    // A release that came first leaves a tombstone without lines.
    if (lines.empty() && state == kReleased) return;
    if (LinesHash(std::move(lines)) != order.lines || order.currency != row[5].c_str()) {
      violate("its reservation is for other lines or prices");
    }
  });
}

// A charge that clients themselves asked payment for has no order.
void LoadCharges(Snapshot& payment, const ClientLog* log, bool quiescent, Facts& facts, Report& report) {
  payment.Stream(sql::kCharges, [&](const pqxx::row& row) {
    const auto state = static_cast<ChargeState>(row[1].as<int>());
    const auto it = facts.orders.find(ParseId(row[0].c_str()));
    if (it == facts.orders.end()) {
      const bool asked_for = log != nullptr && log->money.contains(row[0].c_str());
      if (quiescent && state == kCharged && !asked_for) {
        report.Violate(Promise::kSettled, absl::StrCat("order ", row[0].c_str(), ": is absent but charged"));
      }
      return;
    }
    OrderFact& order = it->second;
    const auto violate = [&](absl::string_view what) {
      report.Violate(Promise::kOnce, absl::StrCat("order ", row[0].c_str(), ": ", what));
    };
    if (order.charge != kNoCharge) violate("has two charges");
    order.charge = state;
    order.charge_refunded = row[5].as<std::int64_t>();
    if (quiescent && row[6].as<std::int64_t>() > 0 && !MayHaveBeen(order, kPaid)) {
      report.Violate(Promise::kSettled,
                     absl::StrCat("order ", row[0].c_str(), ": its charge is settled, but it never was PAID"));
    }
    if (row[2].is_null() || state == kVoided) return;  // a tombstone knows neither user nor amount
    if (order.user != row[2].c_str()) violate(absl::StrCat("user ", row[2].c_str(), " was charged"));
    if (order.total != row[3].as<std::int64_t>() || order.currency != row[4].c_str()) {
      violate(absl::StrCat("total is ", order.total, " ", order.currency, ", the charge ", row[3].c_str(), " ",
                           row[4].c_str()));
    }
  });
}

std::string Refunds(const OrderFact& order) {
  return absl::StrCat(" with ", order.refunded, " refunded, its charge says ", order.charge_refunded);
}

// What is wrong with the order's end, or "".
std::string Unsettled(const OrderFact& order) {
  const std::string charge = absl::StrCat(", its charge ", Name(order.charge));
  const std::string reservation = absl::StrCat(", its reservation ", Name(order.reservation));
  switch (order.state) {
    case kPaid:
    case kPartiallyRefunded:
      if (order.charge != kCharged) return charge;
      if (order.charge_refunded != order.refunded) return Refunds(order);
      return order.reservation == kConfirmed ? "" : reservation;
    case kOrderRefunded:
      if (order.charge != kRefunded) return charge;
      if (order.charge_refunded != order.refunded) return Refunds(order);
      // With or without return of the goods.
      return order.reservation == kConfirmed || order.reservation == kReleased ? "" : reservation;
    case kAwaitingPayment:
      if (order.charge != kAwaiting) return charge;
      return order.reservation == kHeld ? "" : reservation;
    case kCancelled:
      if (order.charge == kCharged || order.charge == kAuthorized || order.charge == kAwaiting) return charge;
      return order.reservation == kHeld || order.reservation == kConfirmed ? reservation : "";
    case kReserved:
    case kCancelling:
    case kRefunding:
      return order.has_saga ? "" : " and has no saga";
    default:
      return "";
  }
}

void CheckSettled(const Options& options, const Facts& facts, Report& report) {
  for (const auto& [id, order] : facts.orders) {
    // The orders were read before the charges: one that was cancelled then had been refunded.
    if (!options.quiescent && !(order.state == kCancelled && order.charge == kCharged)) continue;
    const std::string what = Unsettled(order);
    if (!what.empty()) {
      report.Violate(Promise::kSettled, absl::StrCat("order ", ToString(id), ": is ", Name(order.state), what));
    }
  }
  report.Judged(Promise::kSettled, static_cast<std::int64_t>(facts.orders.size()), "orders");
}

absl::StatusOr<Report> CheckAll(const Options& options) {
  Report report;
  std::optional<ClientLog> log;
  if (!options.client_log.empty()) {
    absl::StatusOr<ClientLog> read = ReadClientLog(options.client_log);
    if (!read.ok()) return read.status();
    log = *std::move(read);
  }
  const auto open = [](const std::string& uri) { return uri.empty() ? nullptr : std::make_unique<Snapshot>(uri); };
  // In this order: an event is written before it is handled, an order is cancelled after its money went back.
  const auto notify = open(options.notify_postgres);
  const auto order = open(options.order_postgres);
  const auto inventory = open(options.inventory_postgres);
  const auto payment = open(options.payment_postgres);

  if (inventory != nullptr) {
    if (absl::Status status = CheckStock(*inventory, options, report); !status.ok()) return status;
  } else {
    report.Skip(Promise::kStock, "--inventory_postgres");
  }
  if (payment != nullptr) {
    CheckLedger(*payment, report);
    if (log.has_value() && !log->money.empty()) CheckMoneyCalls(*log, *payment, order == nullptr, report);
  } else {
    report.Skip(Promise::kLedger, "--payment_postgres");
  }
  if (order == nullptr) {
    for (const Promise promise : {Promise::kAcknowledged, Promise::kEvents, Promise::kOnce, Promise::kSettled,
                                  Promise::kSagas, Promise::kHistory}) {
      report.Skip(promise, "--order_postgres");
    }
    return report;
  }

  Facts facts;
  LoadOrders(*order, log.has_value() ? &*log : nullptr, facts, report);
  report.Judged(Promise::kOnce, static_cast<std::int64_t>(facts.orders.size()), "orders");
  LoadEvents(*order, facts, report);
  LoadSagas(*order, options.quiescent, options.allow_parked, facts, report);
  if (log.has_value()) {
    CheckClients(*log, options.quiescent, facts, report);
  } else {
    report.Skip(Promise::kAcknowledged, "--client_log");
  }
  if (notify != nullptr) {
    CheckDeliveries(*notify, options.quiescent, facts, report);
    if (inventory != nullptr) CheckSourceEvents(*notify, *inventory, "inventory", options.quiescent, report);
    if (payment != nullptr) CheckSourceEvents(*notify, *payment, "payment", options.quiescent, report);
  } else {
    report.Skip(Promise::kEvents, "--notify_postgres");
  }
  facts.events.clear();
  if (inventory != nullptr) {
    LoadReservations(*inventory, options.quiescent, facts, report);
  } else {
    report.Note(Promise::kOnce, "reservations were not compared: no --inventory_postgres");
  }
  if (payment != nullptr) {
    LoadCharges(*payment, log.has_value() ? &*log : nullptr, options.quiescent, facts, report);
  } else {
    report.Note(Promise::kOnce, "charges were not compared: no --payment_postgres");
  }
  if (inventory != nullptr && payment != nullptr) {
    CheckSettled(options, facts, report);
  } else {
    report.Skip(Promise::kSettled, inventory == nullptr ? "--inventory_postgres" : "--payment_postgres");
  }
  return report;
}

}  // namespace

absl::StatusOr<Report> Check(const Options& options) {
  try {
    return CheckAll(options);
  } catch (const pqxx::sql_error& error) {
    return absl::InternalError(postgres::FirstLine(error.what()));
  } catch (const pqxx::failure& error) {
    return absl::UnavailableError(postgres::FirstLine(error.what()));
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
}

}  // namespace flotilla::checker
