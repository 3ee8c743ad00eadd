// A consistent little fleet in four databases of its own, and copies of it in which bugs can be planted.
#pragma once

#include <unistd.h>

#include <map>
#include <memory>
#include <pqxx/pqxx>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "checker/facts.h"
#include "flotilla/order/v1/order_event.pb.h"
#include "inventory/store/schema.h"
#include "notify/store/migrations.h"
#include "order/store/schema.h"
#include "payment/store/schema.h"
#include "postgres/parameter.h"
#include "postgres/test_database.h"
#include "testing/environment.h"

namespace flotilla::checker {

using postgres::TestDatabase;

inline std::string Uuid(int number) { return absl::StrCat("00000000-0000-4000-8000-00000000000", number); }

inline const std::string kApple = absl::StrCat("apple-", getpid());
inline const std::string kPear = absl::StrCat("pear-", getpid());

// One order with all that it left in the four databases.
struct TestOrder {
  int number;
  std::string user;
  std::string key;
  std::vector<LineFact> lines;
  std::vector<int> path;  // its states
  int reservation;
  int charge;
  std::string reason = {};

  std::string id() const { return Uuid(number); }
  std::int64_t total() const {
    std::int64_t sum = 0;
    for (const LineFact& line : lines) sum += line.quantity * line.unit_price;
    return sum;
  }
};

inline const TestOrder kAlice{1, "alice", "k1", {{kApple, 2, 250}, {kPear, 1, 100}}, {1, 2}, 2, 1};
inline const TestOrder kBob{2, "bob", "k1", {{kPear, 3, 100}}, {1, 3}, 3, 2, "INSUFFICIENT_FUNDS"};
inline const TestOrder kCarol{3, "carol", "k1", {{kApple, 1, 250}}, {1, 2, 4, 3}, 3, 3, "CANCELLED_BY_USER"};
inline const TestOrder kDave{4, "dave", "k1", {{kPear, 2, 100}}, {1, 3}, 4, 4, "RESERVATION_EXPIRED"};
inline const TestOrder kAgain{5, "alice", "k2", {{kPear, 2, 100}}, {1, 2}, 2, 1};

inline const char* TypeOf(int state) {
  constexpr const char* kTypes[] = {"", "order.reserved", "order.paid", "order.cancelled", "order.cancelling"};
  return kTypes[state];
}

inline std::string EventData(const TestOrder& order, int state, int version) {
  order::v1::OrderEvent event;
  auto& proto = *event.mutable_order();
  proto.set_order_id(order.id());
  proto.set_user_id(order.user);
  proto.set_state(static_cast<order::v1::OrderState>(state));
  for (const LineFact& line : order.lines) {
    auto* added = proto.add_lines();
    added->set_sku(line.sku);
    added->set_quantity(line.quantity);
    added->mutable_unit_price()->set_currency_code("EUR");
    added->mutable_unit_price()->set_minor_units(line.unit_price);
  }
  proto.mutable_total()->set_currency_code("EUR");
  proto.mutable_total()->set_minor_units(order.total());
  if (state == 3) proto.set_cancel_reason(order.reason);
  proto.set_version(version);
  return absl::StrCat("'", "\\x", absl::BytesToHexString(event.SerializeAsString()), "'");
}

// Columns of the lines as array literals.
inline std::string Columns(const std::vector<LineFact>& lines) {
  std::vector<std::string> skus;
  std::vector<std::int64_t> quantities, prices;
  for (const LineFact& line : lines) {
    skus.push_back(line.sku);
    quantities.push_back(line.quantity);
    prices.push_back(line.unit_price);
  }
  return absl::StrCat("'", postgres::Literal(skus), "', '", postgres::Literal(quantities), "', '",
                      postgres::Literal(prices), "'");
}

inline const std::map<std::string, int> kWallets = {{"alice", 3}, {"bob", 4}, {"carol", 5}, {"dave", 6}};
struct SystemAccount {
  int id;
  const char* owner;
  int kind;
};
inline constexpr SystemAccount kSystemAccounts[] = {{1, "world", 3},     {2, "escrow", 2},    {10, "provider", 7},
                                                    {11, "merchant", 5}, {12, "platform", 6}, {13, "hold", 4}};

inline std::string Transfer(int id, int kind, int debit, int credit, std::int64_t amount,
                            const std::string& reference) {
  return absl::StrCat(
      "INSERT INTO transfer (transfer_id, kind, debit_account, credit_account, amount, currency, reference) VALUES (",
      id, ", ", kind, ", ", debit, ", ", credit, ", ", amount, ", 'EUR', '", reference, "');");
}

inline std::string Refund(const std::string& order_id, std::int64_t amount, int transfer,
                          const std::string& refund_id = "") {
  return absl::StrCat("INSERT INTO refund (order_id, refund_id, amount, currency, transfer_id) VALUES ('", order_id,
                      "', '", refund_id, "', ", amount, ", 'EUR', ", transfer, ");");
}

inline std::string Account(int id, const std::string& owner, int kind) {
  return absl::StrCat(
      "INSERT INTO account (account_id, owner, kind, currency, may_go_negative, balance) SELECT ", id, ", '", owner,
      "', ", kind, ", 'EUR', ", kind, " IN (3, 7), coalesce(sum(CASE WHEN credit_account = ", id,
      " THEN amount ELSE -amount END), 0) FROM transfer WHERE ", id, " IN (credit_account, debit_account);");
}

// Paid to the external provider, a third refunded, the rest settled, then refunded, too: of an order that was given up
// meanwhile. The provider's statement has the charge and the first refund, and a payment of a stranger that an operator
// corrected.
inline std::string ExternalPayment(const std::string& id) {
  return absl::StrCat(
      Transfer(60, 7, 10, 2, 300, id), Transfer(61, 3, 2, 10, 100, id), Transfer(62, 8, 2, 11, 195, id),
      Transfer(63, 9, 2, 12, 5, id), Transfer(64, 10, 11, 10, 195, id), Transfer(65, 11, 12, 10, 5, id),
      Refund(id, 100, 61, "r1"), Refund(id, 200, 64, "r2"),
      "INSERT INTO charge (order_id, state, user_id, amount, currency, method, provider_reference, transfer_id, "
      "captured, refunded, settled, fee, fee_refunded, event_count) VALUES ('",
      id, "', 3, 'erin', 300, 'EUR', 2, 'pay_6', 60, 300, 300, 200, 5, 5, 1);",
      "INSERT INTO provider_event (event_id, order_id, succeeded, amount, currency) VALUES ('evt', '", id,
      "', true, 300, 'EUR');",
      // Not told to anybody.
      "INSERT INTO event (stream_id, sequence, event_id, type, data, occurred_at) VALUES ('", id,
      "', 1, 'a/1', 'payment.succeeded', '', now());",
      "INSERT INTO provider_statement (statement_id, period_start, period_end, digest, lines, state, reconciled_at) "
      "VALUES ('s', '2026-01-01', '2026-01-02', decode(repeat('00', 32), 'hex'), 3, 2, now());",
      "INSERT INTO statement_line (statement_id, line, provider_reference, kind, amount, currency, occurred_at, "
      "transfer_id) VALUES ('s', 2, 'pay_6', 1, 300, 'EUR', now(), 60), ('s', 3, 'pay_6', 2, 100, 'EUR', now(), 61), "
      "('s', 4, 'stranger', 1, 7, 'EUR', now(), NULL);",
      "INSERT INTO difference (statement_id, class, line, provider_reference, kind, theirs, ours, currency, state, "
      "operator, note, correction_id, closed_at) VALUES ('s', 1, 4, 'stranger', 1, 7, 0, 'EUR', 3, 'olga', 'why', 70, "
      "now());",
      Transfer(70, 12, 10, 1, 7, "1"));
}

// What clients asked payment for themselves (GoodLog): held, captured in part, refunded.
inline std::string Authorization(const std::string& id) {
  return absl::StrCat(Transfer(80, 4, 4, 13, 50, id), Transfer(81, 5, 13, 2, 30, id), Transfer(82, 6, 13, 4, 20, id),
                      Transfer(83, 3, 2, 4, 30, id), Refund(id, 30, 83, "r1"),
                      "INSERT INTO charge (order_id, state, user_id, amount, currency, transfer_id, captured, "
                      "refunded) VALUES ('",
                      id, "', 3, 'bob', 50, 'EUR', 80, 30, 30);");
}

class World {
 public:
  World() {
    const auto migrate = [](const TestDatabase& database, std::span<const postgres::Migration> migrations) {
      const absl::Status status = postgres::Migrate(database.options(), migrations, absl::Seconds(5));
      if (!status.ok()) throw std::runtime_error(status.ToString());
    };
    migrate(order_, order::Schema());
    migrate(inventory_, inventory::Schema());
    migrate(payment_, payment::Schema());
    migrate(notify_, notify::Migrations());

    std::map<std::string, std::string> sql;
    for (const TestOrder& order : {kAlice, kBob, kCarol, kDave, kAgain}) Add(order, sql);
    // A hold without an order ends by itself.
    sql["inventory"] += Reservation(Uuid(9), 1, {{kPear, 4, 100}});
    held_[kPear] += 4;
    Stock(kApple, 250, 100, 5, sql["inventory"]);
    Stock(kPear, 100, 50, 0, sql["inventory"]);
    sql["inventory"] += absl::StrCat("INSERT INTO stock_movement (sku, delta, reason, reference) VALUES ('", kApple,
                                     "', 10, 2, 'a'), ('", kApple, "', -5, 4, 'b');");
    // Pears have a limit and ran low once.
    sql["inventory"] += absl::StrCat(
        "UPDATE sku SET user_limit = 5, low_stock_threshold = 40, low_stock_events = 1 WHERE sku = '", kPear,
        "'; UPDATE reservation SET limited_user = 'alice' WHERE order_id = '", Uuid(5),
        "'; INSERT INTO purchase (sku, user_id, order_id, units, user_limit) VALUES ('", kPear, "', 'alice', '",
        Uuid(5), "', 2, 5); INSERT INTO event (stream_id, sequence, event_id, type, data, occurred_at) VALUES ('",
        kPear, "', 1, '", kPear, "/1', 'stock.low', '', now());");
    sql["notify"] +=
        Handled(absl::StrCat("inventory:", kPear, "/1")) + News(1, absl::StrCat("inventory:", kPear, "/1"));
    sql["payment"] += ExternalPayment(Uuid(6)) + Authorization(Uuid(7));
    int deposit = 0;
    for (const auto& [owner, id] : kWallets) {
      ++deposit;
      sql["payment"] += Transfer(deposit, 1, 1, id, 2000, absl::StrCat("d", deposit));
      absl::StrAppend(&sql["payment"],
                      "INSERT INTO deposit (deposit_id, user_id, amount, currency, transfer_id) VALUES ('d", deposit,
                      "', '", owner, "', 2000, 'EUR', ", deposit, ");");
    }
    for (const auto& [owner, id] : kWallets) sql["payment"] += Account(id, owner, 1);
    for (const SystemAccount& account : kSystemAccounts) {
      sql["payment"] += Account(account.id, account.owner, account.kind);
    }
    // The journal's chain and the settlement have come to the deposits' end.
    sql["payment"] +=
        "INSERT INTO journal_block (number, xid, transfer_id, transfers, hash) SELECT 1, xid, 4, 4, "
        "decode(repeat('00', 32), 'hex') FROM (SELECT xid FROM transfer ORDER BY xid DESC LIMIT 1) t;"
        "UPDATE settlement_cursor SET xid = b.xid, transfer_id = 4 FROM journal_block b;";
    for (const auto& [service, text] : sql) database(service).Query(text);
  }

  const TestDatabase& database(const std::string& service) const {
    return service == "order"       ? order_
           : service == "inventory" ? inventory_
           : service == "payment"   ? payment_
                                    : notify_;
  }

 private:
  static std::string Reservation(const std::string& id, int state, const std::vector<LineFact>& lines) {
    return absl::StrCat("INSERT INTO reservation (order_id, state, skus, quantities, unit_prices, currency) VALUES ('",
                        id, "', ", state, ", ", Columns(lines), ", 'EUR');");
  }

  void Stock(const std::string& sku, std::int64_t price, std::int64_t initial, std::int64_t adjusted,
             std::string& sql) {
    absl::StrAppend(&sql,
                    "INSERT INTO sku (sku, name, price_minor, currency, initial, adjusted, available, reserved, sold) "
                    "VALUES ('",
                    sku, "', 'Test', ", price, ", 'EUR', ", initial, ", ", adjusted, ", ",
                    initial + adjusted - held_[sku] - sold_[sku], ", ", held_[sku], ", ", sold_[sku],
                    "); INSERT INTO stock_movement (sku, delta, reason, reference) VALUES ('", sku, "', ", initial,
                    ", 1, '');");
  }

  void Add(const TestOrder& order, std::map<std::string, std::string>& sql) {
    const int state = order.path.back();
    absl::StrAppend(&sql["order"],
                    "INSERT INTO orders (order_id, user_id, idempotency_key, body_hash, state, cancel_reason, version, "
                    "skus, quantities, unit_prices, currency, total, created_at, updated_at) VALUES ('",
                    order.id(), "', '", order.user, "', '", order.key, "', '\\x00', ", state, ", '", order.reason,
                    "', ", order.path.size(), ", ", Columns(order.lines), ", 'EUR', ", order.total(),
                    ", now(), now());");
    for (std::size_t i = 0; i < order.path.size(); ++i) {
      const int version = static_cast<int>(i) + 1;
      const std::string event = absl::StrCat(order.id(), "/", version);
      const std::string type = TypeOf(order.path[i]);
      absl::StrAppend(&sql["order"],
                      "INSERT INTO event (stream_id, sequence, event_id, type, data, occurred_at) VALUES ('",
                      order.id(), "', ", version, ", '", event, "', '", type, "', ",
                      EventData(order, order.path[i], version), ", now());");
      absl::StrAppend(&sql["notify"], Handled(event), Notification(order.user, ++notified_[order.user], event));
    }
    sql["inventory"] += Reservation(order.id(), order.reservation, order.lines);
    for (const LineFact& line : order.lines) {
      if (order.reservation == 2) sold_[line.sku] += line.quantity;
    }
    const bool moved = order.charge == 1 || order.charge == 3;
    const int wallet = kWallets.at(order.user);
    const int transfer = 10 * order.number;
    if (moved) sql["payment"] += Transfer(transfer, 2, wallet, 2, order.total(), order.id());
    if (order.charge == 3) sql["payment"] += Transfer(transfer + 1, 3, 2, wallet, order.total(), order.id());
    if (order.charge == 3) sql["payment"] += Refund(order.id(), order.total(), transfer + 1);
    absl::StrAppend(
        &sql["payment"],
        "INSERT INTO charge (order_id, state, user_id, amount, currency, reason, transfer_id, captured, refunded) "
        "VALUES ('",
        order.id(), "', ", order.charge, ", ",
        order.charge == 4 ? "NULL, NULL, NULL" : absl::StrCat("'", order.user, "', ", order.total(), ", 'EUR'"), ", ",
        order.charge == 2 ? "'INSUFFICIENT_FUNDS'" : "NULL", ", ", moved ? absl::StrCat(transfer) : "NULL", ", ",
        moved ? order.total() : 0, ", ", order.charge == 3 ? order.total() : 0, ");");
  }

 public:
  static std::string Handled(const std::string& event) {
    return absl::StrCat("INSERT INTO handled_event (event_id) VALUES ('", event, "');");
  }
  static std::string Notification(const std::string& user, int sequence, const std::string& event) {
    return absl::StrCat(
        "INSERT INTO notification (user_id, sequence, event_id, type, order_id, text, occurred_at) VALUES ('", user,
        "', ", sequence, ", '", event, "', 'order.test', split_part('", event, "', '/', 1)::uuid, 'Test', now());");
  }
  static std::string News(int sequence, const std::string& event) {
    return absl::StrCat(
        "INSERT INTO notification (user_id, sequence, event_id, type, text, occurred_at) VALUES ('operations', ",
        sequence, ", '", event, "', 'news.test', 'Test', now());");
  }

 private:
  TestDatabase order_, inventory_, payment_, notify_;
  std::map<std::string, std::int64_t> held_, sold_;
  std::map<std::string, int> notified_;
};

// A copy of a database, without its constraints and triggers: bugs can be planted in it.
class Copy {
 public:
  explicit Copy(const TestDatabase& original)
      : name_(original.name() + "_copy"), uri_(original.options().uri + "_copy") {
    Admin("DROP DATABASE IF EXISTS " + name_ + " WITH (FORCE)");
    Admin("CREATE DATABASE " + name_ + " TEMPLATE " + original.name());
    Run(R"(DO $$ DECLARE c record; BEGIN
             FOR c IN SELECT conrelid::regclass AS t, conname AS n FROM pg_constraint
                      WHERE connamespace = 'public'::regnamespace AND contype <> 'n' AND coninhcount = 0
                      ORDER BY contype <> 'f' LOOP
               EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.t, c.n);
             END LOOP;
             FOR c IN SELECT DISTINCT tgrelid::regclass AS t FROM pg_trigger WHERE NOT tgisinternal LOOP
               EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', c.t);
             END LOOP; END $$)");
  }
  ~Copy() {
    try {
      Admin("DROP DATABASE " + name_ + " WITH (FORCE)");
    } catch (const std::exception&) {  // the server is gone, and the database with it
    }
  }
  const std::string& uri() const { return uri_; }
  void Run(const std::string& sql) const {
    pqxx::connection connection(uri_);
    pqxx::nontransaction(connection).exec(sql);
  }

 private:
  static void Admin(const std::string& sql) {
    pqxx::connection connection(TestPostgres());
    pqxx::nontransaction(connection).exec(sql);
  }
  const std::string name_;
  const std::string uri_;  // the original's ends with its name
};

}  // namespace flotilla::checker
