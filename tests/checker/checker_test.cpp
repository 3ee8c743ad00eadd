// A consistent little fleet passes; every planted bug is caught, by its own promise alone.
#include "checker/checker.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "checker/client_log.h"
#include "checker/facts.h"
#include "events/log.h"
#include "flotilla/order/v1/order_event.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inventory/store/schema.h"
#include "notify/store/migrations.h"
#include "order/store/migrations.h"
#include "payment/store/migrations.h"
#include "postgres/test_database.h"
#include "redis/client.h"
#include "saga/migrations.h"
#include "testing/environment.h"

namespace flotilla::checker {
namespace {

using postgres::TestDatabase;
using testing::HasSubstr;

std::string Uuid(int number) { return absl::StrCat("00000000-0000-4000-8000-00000000000", number); }

const std::string kApple = absl::StrCat("apple-", getpid());
const std::string kPear = absl::StrCat("pear-", getpid());

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

const TestOrder kAlice{1, "alice", "k1", {{kApple, 2, 250}, {kPear, 1, 100}}, {1, 2}, 2, 1};
const TestOrder kBob{2, "bob", "k1", {{kPear, 3, 100}}, {1, 3}, 3, 2, "INSUFFICIENT_FUNDS"};
const TestOrder kCarol{3, "carol", "k1", {{kApple, 1, 250}}, {1, 2, 4, 3}, 3, 3, "CANCELLED_BY_USER"};
const TestOrder kDave{4, "dave", "k1", {{kPear, 2, 100}}, {1, 3}, 4, 4, "RESERVATION_EXPIRED"};
const TestOrder kAgain{5, "alice", "k2", {{kPear, 2, 100}}, {1, 2}, 2, 1};

const char* TypeOf(int state) {
  constexpr const char* kTypes[] = {"", "order.reserved", "order.paid", "order.cancelled", "order.cancelling"};
  return kTypes[state];
}

std::string EventData(const TestOrder& order, int state, int version) {
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
  return absl::StrCat("'", postgres::Bytes(event.SerializeAsString()), "'");
}

// Columns of the lines as array literals.
std::string Columns(const std::vector<LineFact>& lines) {
  std::vector<std::string> skus;
  std::vector<std::int64_t> quantities, prices;
  for (const LineFact& line : lines) {
    skus.push_back(line.sku);
    quantities.push_back(line.quantity);
    prices.push_back(line.unit_price);
  }
  return absl::StrCat("'", postgres::Array(skus), "', '", postgres::Array(quantities), "', '", postgres::Array(prices),
                      "'");
}

const std::map<std::string, int> kAccounts = {{"world", 1}, {"escrow", 2}, {"alice", 3},
                                              {"bob", 4},   {"carol", 5},  {"dave", 6}};

std::string Transfer(int id, int kind, int debit, int credit, std::int64_t amount, const std::string& reference) {
  return absl::StrCat(
      "INSERT INTO transfer (transfer_id, kind, debit_account, credit_account, amount, currency, reference) VALUES (",
      id, ", ", kind, ", ", debit, ", ", credit, ", ", amount, ", 'EUR', '", reference, "');");
}

std::string Refund(const std::string& order_id, std::int64_t amount, int transfer) {
  return absl::StrCat("INSERT INTO refund (order_id, refund_id, amount, currency, transfer_id) VALUES ('", order_id,
                      "', '', ", amount, ", 'EUR', ", transfer, ");");
}

class World {
 public:
  World() {
    const auto migrate = [](const TestDatabase& database, std::vector<postgres::Migration> migrations) {
      const absl::Status status = postgres::Migrate(database.options(), migrations, absl::Seconds(5));
      if (!status.ok()) throw std::runtime_error(status.ToString());
    };
    const auto list = [](std::span<const postgres::Migration> migrations) {
      return std::vector<postgres::Migration>(migrations.begin(), migrations.end());
    };
    std::vector<postgres::Migration> orders = events::LogMigrations();
    for (const auto& migration : saga::Migrations()) orders.push_back(migration);
    for (const auto& migration : order::Migrations()) orders.push_back(migration);
    migrate(order_, orders);
    migrate(inventory_, inventory::Schema());
    std::vector<postgres::Migration> payments = events::LogMigrations();
    for (const auto& migration : payment::Migrations()) payments.push_back(migration);
    migrate(payment_, payments);
    migrate(notify_, list(notify::Migrations()));

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
    // Not told to anybody.
    sql["payment"] +=
        "INSERT INTO event (stream_id, sequence, event_id, type, data, occurred_at) VALUES ('a', 1, 'a/1', "
        "'payment.succeeded', '', now());";
    int deposit = 0;
    for (const auto& [owner, id] : kAccounts) {
      if (id < 3) continue;
      ++deposit;
      sql["payment"] += Transfer(deposit, 1, 1, id, 2000, absl::StrCat("d", deposit));
      absl::StrAppend(&sql["payment"],
                      "INSERT INTO deposit (deposit_id, user_id, amount, currency, transfer_id) VALUES ('d", deposit,
                      "', '", owner, "', 2000, 'EUR', ", deposit, ");");
    }
    for (const auto& [owner, id] : kAccounts) {
      absl::StrAppend(
          &sql["payment"], "INSERT INTO account (account_id, owner, kind, currency, may_go_negative, balance) SELECT ",
          id, ", '", owner, "', ",
          id == 1   ? 3
          : id == 2 ? 2
                    : 1,
          ", 'EUR', ", id == 1 ? "true" : "false", ", coalesce(sum(CASE WHEN credit_account = ", id,
          " THEN amount ELSE -amount END), 0) FROM transfer WHERE ", id, " IN (credit_account, debit_account);");
    }
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
    const int wallet = kAccounts.at(order.user);
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
                      WHERE connamespace = 'public'::regnamespace AND contype <> 'n' ORDER BY contype <> 'f' LOOP
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

// ---- client log lines

std::string Call(const std::string& type, const std::string& user, const std::string& key, const std::string& body,
                 int time, const std::string& rest = "") {
  return absl::StrCat(R"({"type":")", type, R"(","op":"create_order","user":")", user, R"(","key":")", key,
                      R"(","body":")", body, R"(","time_us":)", time, rest.empty() ? "" : ",", rest, "}\n");
}

std::string Answer(const TestOrder& order, int state) {
  constexpr const char* kStates[] = {"", "RESERVED", "PAID", "CANCELLED", "CANCELLING"};
  return absl::StrCat(R"("order_id":")", order.id(), R"(","state":"ORDER_STATE_)", kStates[state], R"(")");
}

std::string Refusal(const std::string& reason) { return absl::StrCat(R"("reason":")", reason, R"(")"); }

std::string GoodLog() {
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
      R"({"type":"ok","op":"cancel_order","user":"carol","time_us":"7",)", Answer(kCarol, 3), "}\n");
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
    redis::Client client(options);
    const auto reply = client.Run(std::move(command));
    if (!reply.ok()) throw std::runtime_error(reply.status().ToString());
  }

  static inline World* world = nullptr;
  Options options_;
  std::string text_;
  std::map<std::string, std::unique_ptr<Copy>> copies_;
};

TEST_F(CheckerTest, SoundFleetPasses) {
  EXPECT_THAT(Violated(), testing::IsEmpty()) << text_;
  EXPECT_EQ(text_,
            "I1 ok: 2 SKUs\n"
            "I2 ok: 8 transfers\n"
            "I3 ok: 5 keys of the client log\n"
            "I4 ok: 12 events, 1 of inventory, 1 of payment\n"
            "I5 ok: 5 orders\n"
            "I6 ok: 5 orders\n"
            "I7 ok: 0 running, 0 parked\n"
            "I8 ok: 5 orders, 12 events\n");
  options_.quiescent = false;
  EXPECT_THAT(Violated(), testing::IsEmpty()) << text_;
}

TEST_F(CheckerTest, WhatIsNotGivenIsSkipped) {
  options_.inventory_postgres.clear();
  options_.notify_postgres.clear();
  options_.client_log.clear();
  EXPECT_THAT(Violated(), testing::IsEmpty()) << text_;
  EXPECT_THAT(text_, HasSubstr("I1 skipped: no --inventory_postgres"));
  EXPECT_THAT(text_, HasSubstr("I3 skipped: no --client_log"));
  EXPECT_THAT(text_, HasSubstr("I4 skipped: no --notify_postgres"));
  EXPECT_THAT(text_, HasSubstr("I6 skipped: no --inventory_postgres"));
  EXPECT_THAT(text_, HasSubstr("I8 ok"));
}

TEST_F(CheckerTest, UnreachableServersAreErrors) {
  const Options good = options_;
  options_.order_postgres = "postgresql://postgres@127.0.0.1:1/none?connect_timeout=2";
  EXPECT_EQ(Check(options_).status().code(), absl::StatusCode::kUnavailable);
  options_ = good;
  options_.redis = "127.0.0.1:1";
  EXPECT_EQ(Check(options_).status().code(), absl::StatusCode::kUnavailable);
  options_ = good;
  options_.client_log = "/nonexistent";
  EXPECT_EQ(Check(options_).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(CheckerTest, ClientLogMayOnlyBeCutOffAtItsEnd) {
  WriteLog(GoodLog() + R"({"type":"invoke","op":"cre)");
  EXPECT_THAT(Violated(), testing::IsEmpty()) << text_;
  WriteLog("nonsense\n" + GoodLog());
  EXPECT_EQ(Check(options_).status().code(), absl::StatusCode::kInvalidArgument);
  WriteLog(R"({"type":"maybe","op":"create_order"})"
           "\n");
  EXPECT_THAT(std::string(Check(options_).status().message()), HasSubstr(":1: type \"maybe\" is none"));
}

TEST_F(CheckerTest, RunningFleetMayHaveWorkUnderWay) {
  options_.quiescent = false;
  Plant("order", "INSERT INTO saga (type, id, version, data, owner, lease_until) VALUES ('create', '" + Uuid(1) +
                     "', 1, '', 'me', now())");
  Plant("notify", "DELETE FROM handled_event WHERE event_id = '" + Uuid(1) +
                      "/2'; DELETE FROM notification WHERE "
                      "event_id = '" +
                      Uuid(5) + "/2'; DELETE FROM handled_event WHERE event_id = '" + Uuid(5) + "/2'");
  Plant("notify", "INSERT INTO handled_event (event_id) VALUES ('" + Uuid(1) + "/2')");
  SetGate(kApple, 1000);
  EXPECT_THAT(Violated(), testing::IsEmpty()) << text_;
  SetGate(kApple, Available()[kApple]);
}

TEST_F(CheckerTest, GateAboveSqlIsCaughtBelowIsNoted) {
  SetGate(kApple, Available()[kApple] + 1);
  EXPECT_THAT(Violated(), testing::ElementsAre(1)) << text_;
  SetGate(kApple, Available()[kApple] - 1);
  EXPECT_THAT(Violated(), testing::IsEmpty()) << text_;
  EXPECT_THAT(text_, HasSubstr("note: SKU " + kApple + ": Redis has 102, SQL 103"));
  SetGate(kApple, Available()[kApple]);
}

TEST_F(CheckerTest, AGateOfSegmentsIsJudgedByTheirSum) {
  options_.gate_segments = 2;
  const std::string second = "flotilla:stock:{" + kApple + "~1}";
  EXPECT_THAT(Violated(), testing::IsEmpty()) << "one segment is not known: " << text_;
  Redis({"SET", second, "1"});
  EXPECT_THAT(Violated(), testing::ElementsAre(1)) << text_;
  SetGate(kApple, Available()[kApple] - 1);
  EXPECT_THAT(Violated(), testing::IsEmpty()) << text_;
  EXPECT_THAT(text_, testing::Not(HasSubstr("note: SKU " + kApple)));
  SetGate(kApple, Available()[kApple]);
  Redis({"DEL", second});
}

TEST_F(CheckerTest, ParkedSagaIsCaughtUnlessAllowed) {
  Plant("order", "INSERT INTO saga (type, id, version, direction, data, owner, lease_until) VALUES ('cancel', '" +
                     Uuid(1) + "', 1, 2, '', 'me', now())");
  EXPECT_THAT(Violated(), testing::ElementsAre(7)) << text_;
  EXPECT_THAT(text_, HasSubstr("I7 VIOLATED: saga cancel " + Uuid(1) + " is parked"));
  options_.allow_parked = true;
  EXPECT_THAT(Violated(), testing::IsEmpty()) << text_;
}

// ---- planted bugs

struct Bug {
  const char* name;
  int promise;
  std::vector<std::pair<std::string, std::string>> damage;  // service ("log": lines added to the client log) and SQL
  std::string says;
};
void PrintTo(const Bug& bug, std::ostream* out) { *out << bug.name; }

// Event 2 of kAgain was never delivered; it is alice's last notification.
const std::string kForget = "DELETE FROM handled_event WHERE event_id = '" + Uuid(5) +
                            "/2'; DELETE FROM notification WHERE event_id = '" + Uuid(5) + "/2';";

std::string SetEvent(const TestOrder& order, int sequence, int state, const std::string& type) {
  return absl::StrCat("UPDATE event SET type = '", type, "', data = ", EventData(order, state, sequence),
                      " WHERE event_id = '", order.id(), "/", sequence, "';");
}

std::vector<Bug> Bugs() {
  const std::string apple = " WHERE sku = '" + kApple + "';";
  const std::string pear = " WHERE sku = '" + kPear + "';";
  const auto order = [](int number) { return " WHERE order_id = '" + Uuid(number) + "';"; };
  const auto account = [](int id, std::int64_t delta) {
    return absl::StrCat("UPDATE account SET balance = balance + ", delta, " WHERE account_id = ", id, ";");
  };
  return {
      // I1
      {"StockAppears", 1, {{"inventory", "UPDATE sku SET initial = initial + 1" + apple}}, "initial 101"},
      {"NegativeStock",
       1,
       {{"inventory", "UPDATE sku SET available = -1, initial = reserved + sold - adjusted - 1" + apple}},
       "negative"},
      {"SoldWithoutReservation",
       1,
       {{"inventory", "UPDATE sku SET sold = sold + 1, initial = initial + 1" + apple}},
       "confirmed reservations"},
      {"LeakedHold",
       1,
       {{"inventory", "UPDATE sku SET reserved = reserved + 1, initial = initial + 1" + pear}},
       "its holds come to 4"},
      {"LostMovement", 1, {{"inventory", "DELETE FROM stock_movement WHERE reference = 'b'"}}, "come to 10"},
      {"LostFirstMovement",
       1,
       {{"inventory", "DELETE FROM stock_movement WHERE reason = 1 AND sku = '" + kApple + "'"}},
       "initial is 100, its first movement 0"},
      {"MovementOfUnknownSku",
       1,
       {{"inventory", "INSERT INTO stock_movement (sku, delta, reason, reference) VALUES ('ghost', 1, 2, 'c')"}},
       "SKU ghost"},
      {"PurchaseStaysAfterRelease",
       1,
       {{"inventory", "INSERT INTO purchase (sku, user_id, order_id, units, user_limit) VALUES ('" + kPear +
                          "', 'bob', '" + Uuid(2) + "', 3, 5)"}},
       "by bob in order " + Uuid(2) + ": is no line"},
      {"PurchaseOfOtherUnits", 1, {{"inventory", "UPDATE purchase SET units = 1"}}, "purchase of 1 units"},
      {"ForgottenPurchase", 1, {{"inventory", "DELETE FROM purchase"}}, "alice, who has no purchase"},
      {"LimitExceeded", 1, {{"inventory", "UPDATE purchase SET user_limit = 1"}}, "has 2 units"},
      {"LostStockEvent",
       1,
       {{"inventory", "DELETE FROM event"},
        {"notify",
         "DELETE FROM handled_event WHERE event_id LIKE 'inventory:%'; DELETE FROM notification WHERE "
         "event_id LIKE 'inventory:%'"}},
       "its row tells of 1"},
      {"StockEventOutOfOrder",
       1,
       {{"inventory", "UPDATE event SET sequence = 2, event_id = '" + kPear + "/2'"},
        {"notify", "UPDATE handled_event SET event_id = 'inventory:" + kPear +
                       "/2' WHERE event_id LIKE 'inventory:%'; "
                       "UPDATE notification SET event_id = 'inventory:" +
                       kPear + "/2' WHERE event_id LIKE 'inventory:%'"}},
       "1 events up to 2"},
      {"HoldOfUnknownSku",
       1,
       {{"inventory", "INSERT INTO reservation (order_id, state, skus, quantities, unit_prices, currency) VALUES ('" +
                          Uuid(8) + "', 1, '{ghost}', '{1}', '{1}', 'EUR')"}},
       "SKU ghost"},
      {"MalformedReservation",
       1,
       {{"inventory", "INSERT INTO reservation (order_id, state, skus, quantities, unit_prices, currency) VALUES ('" +
                          Uuid(8) + "', 1, '{}', '{}', '{}', 'EUR')"}},
       "malformed"},
      // I2
      {"MoneyAppears", 2, {{"payment", account(3, 1)}}, "add up to 1"},
      {"MoneyMovesWithoutTransfer", 2, {{"payment", account(3, 1) + account(4, -1)}}, "its transfers come to"},
      {"Overdraft",
       2,
       {{"payment", Transfer(90, 1, 4, 3, 3000, "d9") + account(4, -3000) + account(3, 3000)}},
       "balance is -1000"},
      {"NegativeTransfer",
       2,
       {{"payment", Transfer(90, 1, 3, 1, -5, "d9") + account(3, 5) + account(1, -5)}},
       "amount is -5"},
      {"TransferToItself", 2, {{"payment", Transfer(90, 1, 3, 3, 5, "d9")}}, "debits and credits one account"},
      {"MixedCurrencies", 2, {{"payment", "UPDATE transfer SET currency = 'USD' WHERE transfer_id = 1"}}, "USD moved"},
      {"ChargeWithoutTransfer",
       2,
       {{"payment", "DELETE FROM transfer WHERE transfer_id = 10;" + account(3, 600) + account(2, -600)}},
       "its transfer does not exist"},
      {"ChargedTwice",
       2,
       {{"payment", Transfer(90, 2, 3, 2, 600, Uuid(1)) + account(3, -600) + account(2, 600)}},
       "was taken more than once"},
      {"PartOfTheRefund",
       2,
       {{"payment", "UPDATE transfer SET amount = 249 WHERE transfer_id = 31;" + account(5, -1) + account(2, 1)}},
       "refunded is 250, its transfers come to 249"},
      {"RefundToAnother",
       2,
       {{"payment",
         "UPDATE transfer SET credit_account = 4 WHERE transfer_id = 31;" + account(5, -250) + account(4, 250)}},
       "went back to somebody else"},
      {"RefundedMoreThanCaptured",
       2,
       {{"payment", Transfer(90, 3, 2, 5, 1, Uuid(3)) + account(2, -1) + account(5, 1) + Refund(Uuid(3), 1, 90) +
                        "UPDATE charge SET refunded = 251" + order(3)}},
       "251 refunded of 250 captured"},
      {"RefundRowWithoutMoney", 2, {{"payment", Refund(Uuid(1), 5, 10)}}, "refunded is 0, its refunds come to 5"},
      {"SettledWithoutTransfers",
       2,
       {{"payment", "UPDATE charge SET settled = 600, fee = 15" + order(1)}},
       "settled 600 with fee 15"},
      {"HeldMoneyForgotten",
       2,
       {{"payment",
         Transfer(90, 4, 3, 7, 50, Uuid(4)) + account(3, -50) +
             "INSERT INTO account (account_id, owner, kind, currency, balance) VALUES (7, 'hold', 4, 'EUR', 50)"}},
       "50 was held"},
      {"WrongWay",
       2,
       {{"payment", Transfer(90, 5, 3, 2, 600, Uuid(1)) + account(3, -600) + account(2, 600)}},
       "kind 5 goes from an account of kind 1 to one of kind 2"},
      // I3
      {"AcknowledgedOrderIsLost",
       3,
       {{"order", "DELETE FROM orders" + order(2) + "DELETE FROM event WHERE stream_id = '" + Uuid(2) + "'"},
        {"notify", "DELETE FROM handled_event WHERE event_id LIKE '" + Uuid(2) +
                       "/%'; DELETE FROM notification WHERE user_id = 'bob'"}},
       "was acknowledged but does not exist"},
      {"AcknowledgedInAStateItNeverHad",
       3,
       {{"log", Call("ok", "bob", "k1", "A", 9, Answer(kBob, 2))}},
       "was answered as PAID, is CANCELLED"},
      {"RefusedOrderExists",
       3,
       {{"log", Call("invoke", "alice", "k2", "A", 1) + Call("fail", "alice", "k2", "A", 2, Refusal("OUT_OF_STOCK"))}},
       "was refused, but order"},
      {"CancelWasNotDone",
       3,
       {{"log", R"({"type":"ok","op":"cancel_order","user":"alice",)" + Answer(kAgain, 3) + "}\n"}},
       "was answered as CANCELLED, is PAID"},
      // I4
      {"EventNeverHandled",
       4,
       {{"notify", "DELETE FROM handled_event WHERE event_id = '" + Uuid(1) + "/1'"}},
       "handled 0 times"},
      {"EventHandledTwice", 4, {{"notify", World::Handled(Uuid(1) + "/1")}}, "handled 2 times"},
      {"NotifiedTwice", 4, {{"notify", World::Notification("bob", 3, Uuid(2) + "/1")}}, "notified 2 times"},
      {"EffectIsLost", 4, {{"notify", "DELETE FROM notification WHERE event_id = '" + Uuid(5) + "/2'"}}, "notified 0"},
      {"GapInSequences",
       4,
       {{"notify", "UPDATE notification SET sequence = 3 WHERE user_id = 'bob' AND sequence = 2"}},
       "notifications 1 to 3, 2 of them"},
      {"GhostEvent",
       4,
       {{"notify", World::Handled(Uuid(7) + "/1") + World::Notification("bob", 3, Uuid(7) + "/1")}},
       "handled but does not exist"},
      {"LowStockNeverHandled",
       4,
       {{"notify",
         "DELETE FROM handled_event WHERE event_id LIKE 'inventory:%'; DELETE FROM notification WHERE "
         "event_id LIKE 'inventory:%'"}},
       "/1: handled 0 times"},
      {"LowStockToldTwice",
       4,
       {{"notify", World::News(2, absl::StrCat("inventory:", kPear, "/1"))}},
       "handled 1 times, notified 2 times"},
      {"PaymentHandledTwice",
       4,
       {{"notify", World::Handled("payment:a/1") + World::Handled("payment:a/1")}},
       "event payment:a/1: handled 2 times"},
      {"GhostOfAPayment", 4, {{"notify", World::Handled("payment:b/1")}}, "payment:b/1: handled but does not exist"},
      {"ToldToAnother",
       4,
       {{"notify", "UPDATE notification SET user_id = 'erin' WHERE user_id = 'bob'"}},
       "notified to erin, not to bob"},
      // I5
      {"TwoOrdersOfOneKey", 5, {{"order", "UPDATE orders SET idempotency_key = 'k1'" + order(5)}}, "2 orders"},
      {"ReservedOtherLines",
       5,
       {{"inventory", "UPDATE reservation SET unit_prices = '{99}'" + order(2)}},
       "other lines"},
      {"TwoReservations",
       5,
       {{"inventory", "INSERT INTO reservation SELECT * FROM reservation" + order(2)}},
       "has two reservations"},
      {"ChargedAnotherAmount",
       5,
       {{"payment", "UPDATE charge SET amount = amount + 1, captured = captured + 1" + order(1) +
                        "UPDATE transfer SET amount = amount + 1 WHERE transfer_id = 10;" + account(3, -1) +
                        account(2, 1)}},
       "total is 600 EUR, the charge 601 EUR"},
      {"AnotherUserWasCharged",
       5,
       {{"payment", "UPDATE charge SET user_id = 'bob'" + order(1) +
                        "UPDATE transfer SET debit_account = 4 WHERE transfer_id = 10;" + account(3, 600) +
                        account(4, -600)}},
       "user bob was charged"},
      {"AnsweredWithTwoOrders",
       5,
       {{"log", Call("invoke", "alice", "k1", "A", 20) + Call("ok", "alice", "k1", "A", 21, Answer(kAgain, 2))}},
       "answered with the orders"},
      {"TwoBodiesAccepted",
       5,
       {{"log", Call("invoke", "alice", "k1", "D", 20) + Call("ok", "alice", "k1", "D", 21, Answer(kAlice, 2))}},
       "two bodies were accepted"},
      {"OtherBodyRefusedWrongly",
       5,
       {{"log", Call("invoke", "alice", "k1", "D", 20) + Call("fail", "alice", "k1", "D", 21, Refusal("UNKNOWN_SKU"))}},
       "and not as IDEMPOTENCY_KEY_REUSED"},
      {"RepeatRefusedAsReused",
       5,
       {{"log",
         Call("invoke", "bob", "k1", "A", 20) + Call("fail", "bob", "k1", "A", 21, Refusal("IDEMPOTENCY_KEY_REUSED"))}},
       "there was one body only"},
      // I6
      {"PaidButRefunded",
       6,
       {{"payment", Transfer(90, 3, 2, 3, 600, Uuid(1)) + account(2, -600) + account(3, 600) +
                        Refund(Uuid(1), 600, 90) + "UPDATE charge SET state = 3, refunded = 600" + order(1)}},
       "is PAID, its charge refunded"},
      {"CancelledButCharged",
       6,
       {{"payment", "DELETE FROM transfer WHERE transfer_id = 31;" + account(2, 250) + account(5, -250) +
                        "DELETE FROM refund; UPDATE charge SET state = 1, refunded = 0" + order(3)}},
       "is CANCELLED, its charge charged"},
      {"RefundTheOrderDoesNotKnowOf",
       6,
       {{"payment", Transfer(90, 3, 2, 3, 5, Uuid(1)) + account(2, -5) + account(3, 5) + Refund(Uuid(1), 5, 90) +
                        "UPDATE charge SET refunded = 5" + order(1)}},
       "is PAID with 0 refunded, its charge says 5"},
      {"CancelledButStillAwaitingTheProvider",
       6,
       {{"payment", "UPDATE charge SET state = 6, reason = NULL, expires_at = now()" + order(2)}},
       "is CANCELLED, its charge awaiting"},
      {"PaidButStockOnHold",
       6,
       {{"inventory", "UPDATE reservation SET state = 1" + order(5) +
                          "UPDATE sku SET sold = sold - 2, reserved = reserved + 2" + pear}},
       "is PAID, its reservation HELD"},
      {"CancelledButStockKept",
       6,
       {{"inventory", "UPDATE reservation SET state = 1" + order(2) +
                          "UPDATE sku SET initial = initial + 3, reserved = reserved + 3" + pear +
                          "UPDATE stock_movement SET delta = delta + 3" + pear}},
       "is CANCELLED, its reservation HELD"},
      {"ReservedForEver",
       6,
       {{"order", "UPDATE orders SET state = 1, version = 1" + order(5) + "DELETE FROM event WHERE event_id = '" +
                      Uuid(5) + "/2'"},
        {"notify", kForget}},
       "is RESERVED and has no saga"},
      {"ChargedWithoutOrder",
       6,
       {{"payment",
         Transfer(90, 2, 3, 2, 7, Uuid(8)) + account(3, -7) + account(2, 7) +
             "INSERT INTO charge (order_id, state, user_id, amount, currency, transfer_id, captured) VALUES ('" +
             Uuid(8) + "', 1, 'alice', 7, 'EUR', 90, 7)"}},
       "is absent but charged"},
      {"SoldWithoutOrder",
       6,
       {{"inventory", "UPDATE reservation SET state = 2" + order(9) +
                          "UPDATE sku SET reserved = reserved - 4, sold = sold + 4" + pear}},
       "its stock was sold"},
      // I7
      {"SagaNeverEnds",
       7,
       {{"order", "INSERT INTO saga (type, id, version, data, owner, lease_until) VALUES ('create', '" + Uuid(1) +
                      "', 1, '', 'me', now())"}},
       "has not ended"},
      // I8
      {"EventIsMissing",
       8,
       {{"order", "UPDATE event SET sequence = 3, event_id = '" + Uuid(5) + "/3' WHERE event_id = '" + Uuid(5) + "/2'"},
        {"notify", "UPDATE handled_event SET event_id = '" + Uuid(5) + "/3' WHERE event_id = '" + Uuid(5) +
                       "/2'; UPDATE notification SET event_id = '" + Uuid(5) + "/3' WHERE event_id = '" + Uuid(5) +
                       "/2'"}},
       "event 2 is missing"},
      {"NoEvents",
       8,
       {{"order", "DELETE FROM event WHERE stream_id = '" + Uuid(4) + "'"},
        {"notify", "DELETE FROM handled_event WHERE event_id LIKE '" + Uuid(4) +
                       "/%'; DELETE FROM notification WHERE user_id = 'dave'"}},
       "has no events"},
      {"EventsWithoutOrder", 8, {{"order", "DELETE FROM orders" + order(4)}}, "has events but no row"},
      {"TypeOfAnotherState", 8, {{"order", SetEvent(kAgain, 2, 2, "order.cancelled")}}, "is order.cancelled but"},
      {"IllegalTransition",
       8,
       {{"order", SetEvent(kCarol, 3, 3, "order.cancelled") + "UPDATE orders SET version = 3" + order(3) +
                      "DELETE FROM event WHERE event_id = '" + Uuid(3) + "/4'"},
        {"notify", "DELETE FROM handled_event WHERE event_id = '" + Uuid(3) +
                       "/4'; DELETE FROM notification WHERE event_id = '" + Uuid(3) + "/4'"}},
       "goes from PAID to CANCELLED"},
      {"BeginsPaid",
       8,
       {{"order", "DELETE FROM event WHERE event_id = '" + Uuid(5) + "/2';" + SetEvent(kAgain, 1, 2, "order.paid") +
                      "UPDATE orders SET version = 1" + order(5)},
        {"notify", kForget}},
       "goes from absent to PAID"},
      {"RowIsAhead", 8, {{"order", "UPDATE orders SET version = 3" + order(5)}}, "version is 3, it has 2 events"},
      {"RowHasAnotherReason",
       8,
       {{"order", "UPDATE orders SET cancel_reason = 'WHIM'" + order(2)}},
       "another cancel reason"},
      {"EventsOfOtherLines",
       8,
       {{"order", absl::StrReplaceAll(SetEvent(kAgain, 2, 2, "order.paid"),
                                      {{EventData(kAgain, 2, 2),
                                        EventData(TestOrder{5, "alice", "k2", {{kPear, 1, 200}}, {}, 0, 0}, 2, 2)}})}},
       "another list of lines"},
      {"UnreadableEvent",
       8,
       {{"order", "UPDATE event SET data = '\\xff' WHERE event_id = '" + Uuid(5) + "/2'"}},
       "cannot be read"},
  };
}

class PlantedBug : public CheckerTest, public testing::WithParamInterface<Bug> {};

TEST_P(PlantedBug, IsCaught) {
  for (const auto& [service, damage] : GetParam().damage) {
    if (service == "log") {
      WriteLog(GoodLog() + damage);
    } else {
      Plant(service, damage);
    }
  }
  EXPECT_THAT(Violated(), testing::ElementsAre(GetParam().promise)) << text_;
  EXPECT_THAT(text_, HasSubstr(absl::StrCat("I", GetParam().promise, " VIOLATED")));
  EXPECT_THAT(text_, HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(Bugs, PlantedBug, testing::ValuesIn(Bugs()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(ReportTest, KeepsTheFirstTen) {
  Report report;
  for (int i = 1; i <= 1234; ++i) report.Violate(Promise::kStock, absl::StrCat("v", i));
  report.Judged(Promise::kLedger, 1234567, "transfers");
  EXPECT_THAT(report.ToString(), HasSubstr("I1 VIOLATED: v1; v2; v3; v4; v5; v6; v7; v8; v9; v10; and 1,224 more\n"));
  EXPECT_THAT(report.ToString(), HasSubstr("I2 ok: 1,234,567 transfers\n"));
  EXPECT_EQ(WithCommas(-1000), "-1,000");
  EXPECT_EQ(WithCommas(-100), "-100");
}

TEST(FactsTest, IdsThereAndBack) {
  EXPECT_EQ(ToString(ParseId("01234567-89ab-cdef-0123-456789abcdef")), "01234567-89ab-cdef-0123-456789abcdef");
  EXPECT_EQ(ParseId("01234567-89ab-cdef-0123-456789abcdeg"), 0);
  EXPECT_EQ(ParseId("01234567"), 0);
}

}  // namespace
}  // namespace flotilla::checker
