#include "postgres/session.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <barrier>
#include <filesystem>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "postgres/test_database.h"

namespace flotilla::postgres {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr Statement kInsert{"insert", "INSERT INTO t (id, n) VALUES ($1, $2)"};
constexpr Statement kAdd{"add", "UPDATE t SET n = n + 1 WHERE id = $1"};
constexpr Statement kPid{"pid", "SELECT pg_backend_pid()"};
constexpr Statement kSleep{"sleep", "SELECT pg_sleep($1)"};
constexpr Statement kSum{"sum", "SELECT sum(n) FROM t"};
constexpr Statement kText{"text", "SELECT $1::text"};
constexpr Statement kLock{"lock", "SELECT n FROM t WHERE id = $1 FOR UPDATE"};

// Forwards to the server; once armed, passes a COMMIT on and cuts the client off before the answer.
class CuttingProxy {
 public:
  explicit CuttingProxy(int server_port) : server_port_(server_port), listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = Address(0);
    bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    listen(listener_, 8);
    socklen_t size = sizeof(address);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this](std::stop_token stop) { Run(stop); });
  }
  ~CuttingProxy() {
    thread_.request_stop();
    thread_.join();
    close(listener_);
  }
  int port() const { return port_; }
  std::atomic<bool> cut_commit = false;

 private:
  static sockaddr_in Address(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }
  void Run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      pollfd waiting{listener_, POLLIN, 0};
      if (poll(&waiting, 1, 20) != 1) continue;
      const int client = accept(listener_, nullptr, nullptr);
      const int server = socket(AF_INET, SOCK_STREAM, 0);
      sockaddr_in address = Address(server_port_);
      if (connect(server, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) Forward(stop, client, server);
      close(client);
      close(server);
    }
  }
  void Forward(const std::stop_token& stop, int client, int server) {
    std::array<char, 65536> buffer;
    while (!stop.stop_requested()) {
      pollfd ends[] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
      if (poll(ends, 2, 20) <= 0) continue;
      for (int side : {0, 1}) {
        if (ends[side].revents == 0) continue;
        const ssize_t size = read(ends[side].fd, buffer.data(), buffer.size());
        if (size <= 0) return;
        if (write(ends[1 - side].fd, buffer.data(), static_cast<std::size_t>(size)) != size) return;
        if (side == 0 && cut_commit &&
            std::string_view(buffer.data(), static_cast<std::size_t>(size)).find("COMMIT") != std::string_view::npos) {
          pollfd answer{server, POLLIN, 0};
          poll(&answer, 1, 20'000);  // the server has committed
          return;
        }
      }
    }
  }

  const int server_port_;
  const int listener_;
  int port_ = 0;
  std::jthread thread_;
};

// The numbers of this process's open sockets.
std::set<int> Sockets() {
  std::set<int> sockets;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    if (std::filesystem::read_symlink(entry.path(), gone).string().starts_with("socket:"))
      sockets.insert(std::stoi(entry.path().filename().string()));
  }
  return sockets;
}

class SessionTest : public testing::Test {
 protected:
  SessionTest() { database.Query("CREATE TABLE t (id bigint PRIMARY KEY, n bigint NOT NULL CHECK (n < 1000))"); }

  absl::Status Insert(Session& session, int id, int n = 0) {
    return session.Transact([&](Transaction& tx) {
      tx.Run(kInsert, id, n);
      return absl::OkStatus();
    });
  }
  static void Terminate(const TestDatabase& db, int pid) {
    db.Query("SELECT pg_terminate_backend(" + std::to_string(pid) + ", 1000)");
  }

  TestDatabase database;
};

TEST_F(SessionTest, CommitsWhenTheBodyIsOk) {
  Session session(database.options());
  EXPECT_EQ(Insert(session, 1), absl::OkStatus());
  EXPECT_EQ(Insert(session, 2), absl::OkStatus());
  EXPECT_EQ(database.Query("SELECT count(*) FROM t"), "2");
}

TEST_F(SessionTest, RollsBackWhenTheBodyFails) {
  Session session(database.options());
  const absl::Status status = session.Transact([&](Transaction& tx) {
    tx.Run(kInsert, 1, 0);
    return absl::NotFoundError("no");
  });
  EXPECT_EQ(status, absl::NotFoundError("no"));
  EXPECT_EQ(database.Query("SELECT count(*) FROM t"), "0");
  EXPECT_EQ(Insert(session, 1), absl::OkStatus());
}

TEST_F(SessionTest, SqlErrorIsInternalAndNamesNoValues) {
  Session session(database.options());
  ASSERT_EQ(Insert(session, 4711), absl::OkStatus());
  const absl::Status status = Insert(session, 4711);
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("23505"));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("4711")));
}

// Not INTERNAL: consumers would bury events that are not to blame.
TEST_F(SessionTest, AServerWithAFullDiskIsUnavailableAndTheSessionGoesOn) {
  Session session(database.options());
  const Statement full{"full", "SELECT fail()"};
  database.Query(
      "CREATE FUNCTION fail() RETURNS void LANGUAGE plpgsql AS "
      "$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$");
  const absl::Status status = session.Transact([&](Transaction& tx) {
    tx.Run(kInsert, 1, 1);
    tx.Run(full);
    return absl::OkStatus();
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(Insert(session, 1), absl::OkStatus());  // rolled back, so the id is free
}

TEST_F(SessionTest, ASwallowedErrorIsNotReportedAsCommitted) {
  Session session(database.options());
  const absl::Status status = session.Transact([&](Transaction& tx) {
    tx.Run(kInsert, 1, 0);
    try {
      tx.Run(kInsert, 1, 0);
    } catch (const SqlError&) {
    }
    return absl::OkStatus();
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(database.Query("SELECT count(*) FROM t"), "0");
}

TEST_F(SessionTest, ASwallowedErrorOfAStatementThatIsDeferredIsNotReportedAsCommitted) {
  Session session(database.options());
  const Statement none{"none", "SELECT * FROM nothing"};
  const absl::Status status = session.Transact([&](Transaction& tx) {
    tx.Run(kInsert, 1, 0);
    try {
      tx.Defer(none);
    } catch (const SqlError&) {
    }
    return absl::OkStatus();
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(database.Query("SELECT count(*) FROM t"), "0");
}

// As where the server had prepared a statement, but the answer to that was lost.
TEST_F(SessionTest, AConnectionWithAnUnknownPreparedStatementIsReplaced) {
  Session session(database.options());
  const Statement known{"known", "SELECT 2"};
  int runs = 0, found = 0;
  EXPECT_EQ(session.Transact([&](Transaction& tx) {
    if (runs++ == 0) {
      tx.DeferSql("PREPARE known AS SELECT 1");
      tx.Flush();
    }
    found = tx.Run(known)[0][0].as<int>();
    return absl::OkStatus();
  }),
            absl::OkStatus());
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(found, 2);
}

TEST_F(SessionTest, DeferredStatementsRunInOrder) {
  Session session(database.options());
  std::string sum;
  EXPECT_EQ(session.Transact([&](Transaction& tx) {
    tx.Defer(kInsert, 1, 5);
    tx.Defer(kAdd, 1);
    sum = tx.Run(kSum)[0][0].c_str();
    tx.Defer(kInsert, 2, 7);
    return absl::OkStatus();
  }),
            absl::OkStatus());
  EXPECT_EQ(sum, "6");
  EXPECT_EQ(database.Query("SELECT sum(n) FROM t"), "13");
}

TEST_F(SessionTest, AnswersComeWithALaterMessage) {
  Session session(database.options());
  std::optional<Answer> with_commit;
  EXPECT_EQ(session.Transact([&](Transaction& tx) {
    tx.Defer(kInsert, 1, 5);
    const Answer sum = tx.Ask(kSum);
    tx.Defer(kAdd, 1);
    EXPECT_TRUE(sum.rows().empty());
    EXPECT_EQ(tx.Run(kSum)[0][0].as<int>(), 6);
    EXPECT_EQ(sum.rows()[0][0].as<int>(), 5);
    with_commit = tx.Ask(kSum);
    return absl::OkStatus();
  }),
            absl::OkStatus());
  EXPECT_EQ(with_commit->rows()[0][0].as<int>(), 6);
}

TEST_F(SessionTest, ADeferredStatementThatFailsTakesTheTransactionAlong) {
  Session session(database.options());
  ASSERT_EQ(Insert(session, 1), absl::OkStatus());
  const absl::Status at_commit = session.Transact([&](Transaction& tx) {
    tx.Run(kInsert, 2, 0);
    tx.Defer(kInsert, 1, 0);
    return absl::OkStatus();
  });
  EXPECT_EQ(at_commit.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(at_commit.message()), HasSubstr("23505"));
  const absl::Status before = session.Transact([&](Transaction& tx) {
    tx.Defer(kInsert, 1, 0);
    tx.Run(kInsert, 2, 0);
    return absl::OkStatus();
  });
  EXPECT_EQ(before.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(database.Query("SELECT count(*) FROM t"), "1");
  EXPECT_EQ(Insert(session, 2), absl::OkStatus());
}

TEST_F(SessionTest, DeferredValuesAreQuoted) {
  Session session(database.options());
  const std::string text = R"(it's "quoted"; ' DROP TABLE t; -- ü)";
  std::string back;
  EXPECT_EQ(session.Transact([&](Transaction& tx) {
    tx.DeferSql("SELECT 1");
    back = tx.Run(kText, text)[0][0].c_str();
    return absl::OkStatus();
  }),
            absl::OkStatus());
  EXPECT_EQ(back, text);
}

// Neither side may wait for the other to read: this is more than their buffers hold.
TEST_F(SessionTest, ALargeMessageWithLargeAnswersGoesThrough) {
  Session session(database.options());
  const std::string text(6'000'000, 'x');
  std::vector<Answer> answers;
  ASSERT_EQ(session.Transact([&](Transaction& tx) {
    answers.clear();
    for (int i = 0; i < 4; ++i) answers.push_back(tx.Ask(kText, text));
    return absl::OkStatus();
  }),
            absl::OkStatus());
  for (const Answer& answer : answers) EXPECT_EQ(answer.rows()[0][0].view(), text);
}

TEST_F(SessionTest, AnAnswerOfAMessageThatFailedIsNone) {
  Session session(database.options());
  ASSERT_EQ(Insert(session, 1), absl::OkStatus());
  Answer before, after;
  EXPECT_EQ(session
                .Transact([&](Transaction& tx) {
                  before = tx.Ask(kSum);
                  tx.Defer(kInsert, 1, 0);
                  after = tx.Ask(kSum);
                  return absl::OkStatus();
                })
                .code(),
            absl::StatusCode::kInternal);
  EXPECT_TRUE(before.rows().empty());
  EXPECT_TRUE(after.rows().empty());
  EXPECT_EQ(Insert(session, 2), absl::OkStatus());
}

TEST_F(SessionTest, AHopeThatFailsLeavesNothingAndIsRunWithCare) {
  Session session(database.options());
  std::vector<Care> cares;
  const auto insert = [&](std::int64_t id, std::int64_t n, bool asks) {
    return session.TransactHopefully([&, id, n, asks](Transaction& transaction, Care care) {
      cares.push_back(care);
      if (asks && care == Care::kLook) {
        transaction.Run(kAdd, id);
      } else {
        transaction.Defer(kInsert, id, n);
      }
      return absl::OkStatus();
    });
  };
  EXPECT_TRUE(insert(1, 5, true).ok());
  EXPECT_EQ(cares, std::vector{Care::kHope});
  cares.clear();
  EXPECT_TRUE(insert(1, 7, true).ok());
  EXPECT_EQ(cares, (std::vector{Care::kHope, Care::kLook}));
  EXPECT_EQ(database.Query("SELECT n FROM t WHERE id = 1"), "6");
  cares.clear();
  EXPECT_EQ(insert(1, 7, false).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(cares, (std::vector{Care::kHope, Care::kLook}));
  EXPECT_EQ(database.Query("SELECT n FROM t WHERE id = 1"), "6");
}

TEST_F(SessionTest, ABodyMayDashItsOwnHope) {
  Session session(database.options());
  std::vector<Care> cares;
  EXPECT_EQ(session.TransactHopefully([&](Transaction& transaction, Care care) {
    cares.push_back(care);
    const int id = care == Care::kHope ? 1 : 2;
    transaction.Run(kInsert, id, 0);
    return care == Care::kHope ? transaction.Dash() : absl::OkStatus();
  }),
            absl::OkStatus());
  EXPECT_EQ(cares, (std::vector{Care::kHope, Care::kLook}));
  EXPECT_EQ(database.Query("SELECT string_agg(id::text, ' ') FROM t"), "2");
  EXPECT_EQ(session.Transact([](Transaction& transaction) { return transaction.Dash(); }).code(),
            absl::StatusCode::kInternal);
}

TEST_F(SessionTest, AReadNeedsNoTransaction) {
  Session session(database.options());
  ASSERT_EQ(Insert(session, 1), absl::OkStatus());
  int pid = 0;
  const auto read = [&] {
    return session.Read([&](Transaction& tx) {
      pid = tx.Run(kPid)[0][0].as<int>();
      return absl::OkStatus();
    });
  };
  ASSERT_EQ(read(), absl::OkStatus());
  Terminate(database, pid);
  const int before = pid;
  EXPECT_EQ(read(), absl::OkStatus());
  EXPECT_NE(pid, before);
  EXPECT_EQ(session
                .Read([&](Transaction& tx) {
                  tx.Run(kSleep, 0);
                  return absl::NotFoundError("no");
                })
                .code(),
            absl::StatusCode::kNotFound);
}

TEST_F(SessionTest, WrongParameterCountDoesNotSpin) {
  Session session(database.options());
  int runs = 0;
  const absl::Status status = session.Transact([&](Transaction& tx) {
    ++runs;
    tx.Run(kInsert, 1);
    return absl::OkStatus();
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(Insert(session, 1), absl::OkStatus());
}

TEST_F(SessionTest, RetriesWhenTheConnectionIsLostBeforeCommit) {
  Session session(database.options());
  int runs = 0;
  const absl::Status status = session.Transact([&](Transaction& tx) {
    const int pid = tx.Run(kPid)[0][0].as<int>();
    if (++runs == 1) Terminate(database, pid);
    tx.Run(kInsert, 1, 0);
    return absl::OkStatus();
  });
  EXPECT_EQ(status, absl::OkStatus());
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(database.Query("SELECT count(*) FROM t"), "1");
}

TEST_F(SessionTest, AConnectionLostWhileIdleIsReplaced) {
  Session session(database.options());
  int pid = 0;
  ASSERT_EQ(session.Transact([&](Transaction& tx) {
    pid = tx.Run(kPid)[0][0].as<int>();
    return absl::OkStatus();
  }),
            absl::OkStatus());
  Terminate(database, pid);
  EXPECT_EQ(Insert(session, 1), absl::OkStatus());
  EXPECT_EQ(database.Query("SELECT count(*) FROM t"), "1");
}

// Found as events that were acknowledged and never handled, after PostgreSQL was killed.
TEST_F(SessionTest, AConnectionFoundDeadBeforeATransactionBeginsIsNoSuccess) {
  const std::set<int> before = Sockets();
  Session session(database.options());
  ASSERT_EQ(Insert(session, 1), absl::OkStatus());
  // Its end comes without a word of the server's, as when that is killed.
  for (const int socket : Sockets()) {
    if (!before.contains(socket)) ASSERT_EQ(shutdown(socket, SHUT_RDWR), 0);
  }
  EXPECT_EQ(Insert(session, 2), absl::OkStatus());
  EXPECT_EQ(database.Query("SELECT count(*) FROM t"), "2");
}

TEST_F(SessionTest, AConnectionLostDuringCommitIsUnknown) {
  const std::string port = pqxx::connection(TestPostgres()).port();
  CuttingProxy proxy(std::stoi(port));
  Options options = database.options();
  options.uri.replace(options.uri.rfind(port), port.size(), std::to_string(proxy.port()));
  Session session(options);
  ASSERT_EQ(Insert(session, 1), absl::OkStatus());
  proxy.cut_commit = true;
  EXPECT_EQ(Insert(session, 2).code(), absl::StatusCode::kUnknown);
  EXPECT_EQ(database.Query("SELECT count(*) FROM t"), "2");  // it did commit: a blind retry would have done it twice
  proxy.cut_commit = false;
  EXPECT_EQ(Insert(session, 3), absl::OkStatus());
}

TEST_F(SessionTest, DeadlocksAreRetried) {
  Session setup(database.options());
  ASSERT_EQ(Insert(setup, 1), absl::OkStatus());
  ASSERT_EQ(Insert(setup, 2), absl::OkStatus());
  std::barrier both(2);
  std::atomic<int> runs = 0;
  const auto add = [&](int first, int second) {
    Session session(database.options());
    bool again = false;
    EXPECT_EQ(session.Transact([&](Transaction& tx) {
      ++runs;
      tx.Run(kAdd, first);
      if (!std::exchange(again, true)) both.arrive_and_wait();
      tx.Run(kAdd, second);
      return absl::OkStatus();
    }),
              absl::OkStatus());
  };
  std::thread other(add, 2, 1);
  add(1, 2);
  other.join();
  EXPECT_GE(runs, 3);  // a busy machine may let them meet once more
  EXPECT_EQ(database.Query("SELECT string_agg(n::text, ' ') FROM t"), "2 2");
}

TEST_F(SessionTest, TimeoutsAreDeadlineExceeded) {
  Options options = database.options();
  options.statement_timeout = absl::Milliseconds(300);
  options.lock_timeout = absl::Milliseconds(100);
  Session session(options);
  EXPECT_EQ(session
                .Transact([](Transaction& tx) {
                  tx.Run(kSleep, 5);
                  return absl::OkStatus();
                })
                .code(),
            absl::StatusCode::kDeadlineExceeded);
  Session holder(database.options()), blocked(options);
  ASSERT_EQ(Insert(holder, 1), absl::OkStatus());
  absl::Status status;
  ASSERT_EQ(holder.Transact([&](Transaction& tx) {
    tx.Run(kLock, 1);
    status = blocked.Transact([](Transaction& second) {
      second.Run(kLock, 1);
      return absl::OkStatus();
    });
    return absl::OkStatus();
  }),
            absl::OkStatus());
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
}

TEST(SessionWithoutServerTest, IsUnavailableFast) {
  Session session({.uri = "postgresql://postgres@127.0.0.1:1/postgres"});
  const absl::Time start = absl::Now();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(session.Transact([](Transaction&) { return absl::OkStatus(); }).code(), absl::StatusCode::kUnavailable);
  }
  EXPECT_LT(absl::Now() - start, absl::Seconds(1));
}

TEST(SessionWithoutServerTest, MalformedUriIsUnavailable) {
  Session session({.uri = "postgresql://%%"});
  EXPECT_EQ(session.Transact([](Transaction&) { return absl::OkStatus(); }).code(), absl::StatusCode::kUnavailable);
}

constexpr Statement kEcho{"echo", "SELECT t FROM unnest($1::text[]) WITH ORDINALITY AS x(t, o) ORDER BY o"};
constexpr Statement kEchoBytes{"echo_bytes", "SELECT b FROM unnest($1::bytea[]) WITH ORDINALITY AS x(b, o) ORDER BY o"};
constexpr Statement kSumOf{"sum_of", "SELECT sum(n) FROM unnest($1::bigint[]) AS n"};
constexpr Statement kOne{"one", "SELECT $1::bytea"};

TEST_F(SessionTest, ArraysComeBackAsTheyWere) {
  const std::vector<std::string> nasty = {"",
                                          "NULL",
                                          "null",
                                          "a,b",
                                          "{}",
                                          "{\"x\"}",
                                          "\"",
                                          "\\",
                                          "\\\\\"",
                                          "it's",
                                          " pad ",
                                          "\n\t",
                                          "\xc3\xa4\xe2\x82\xac",
                                          "$1; DROP",
                                          "%s",
                                          "E'\\x41'"};
  std::vector<std::string> bytes = nasty;
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  bytes.push_back(all);
  const std::vector<std::int64_t> numbers = {std::numeric_limits<std::int64_t>::max(), -1, 0, 1};
  Session session(database.options());
  const absl::Status status = session.Transact([&](Transaction& tx) {
    const auto check = [&](const Rows& result) {
      ASSERT_EQ(result.size(), nasty.size());
      for (std::size_t i = 0; i < nasty.size(); ++i) EXPECT_EQ(result[i][0].as<std::string>(), nasty[i]);
    };
    check(tx.Run(kEcho, Array(nasty)));
    check(tx.Run(kEcho, Array(std::vector<std::string_view>(nasty.begin(), nasty.end()))));
    const Rows result = tx.Run(kEchoBytes, ByteArray(bytes));
    EXPECT_EQ(result.size(), bytes.size());
    for (std::size_t i = 0; i < bytes.size(); ++i) EXPECT_EQ(FromBytes(result[i][0].c_str()), bytes[i]);
    EXPECT_EQ(tx.Run(kSumOf, Array(numbers))[0][0].as<std::string>(), "9223372036854775807");
    EXPECT_EQ(FromBytes(tx.Run(kOne, Bytes(all))[0][0].c_str()), all);
    EXPECT_EQ(tx.Run(kEcho, Array(std::vector<std::string>{})).size(), 0u);
    return absl::OkStatus();
  });
  EXPECT_EQ(status, absl::OkStatus());
  EXPECT_THROW(FromBytes("abc"), std::invalid_argument);
  EXPECT_THROW(FromBytes("\\xzz"), std::invalid_argument);
}

TEST_F(SessionTest, MigrationsRunOnceByManyAtOnce) {
  const std::vector<Migration> migrations = {
      {"001_a.sql", "CREATE TABLE a (id int); INSERT INTO a VALUES (1); SELECT pg_sleep(0.2);"},
      {"002_b.sql", "INSERT INTO a VALUES (2); -- 'quoted' $$"},
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back(
        [&] { EXPECT_EQ(Migrate(database.options(), migrations, absl::Seconds(5)), absl::OkStatus()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(database.Query("SELECT string_agg(id::text, ' ') FROM a"), "1 2");
  EXPECT_EQ(database.Query("SELECT string_agg(name, ' ' ORDER BY name) FROM schema_migration"), "001_a.sql 002_b.sql");
}

TEST_F(SessionTest, AMigrationWaitsForALockWithoutHoldingUpOthers) {
  database.Query("CREATE TABLE a (id int)");
  pqxx::connection connection(database.options().uri);
  auto reader = std::make_unique<pqxx::work>(connection);
  reader->exec("SELECT * FROM a");
  const std::vector<Migration> migrations = {{"001_a.sql", "ALTER TABLE a ADD COLUMN b int"}};
  EXPECT_EQ(Migrate(database.options(), migrations, {}).code(), absl::StatusCode::kUnavailable);
  std::thread migration(
      [&] { EXPECT_EQ(Migrate(database.options(), migrations, absl::Minutes(1)), absl::OkStatus()); });
  for (int i = 0; i < 5; ++i) {
    database.Query("INSERT INTO a VALUES (1)");
    absl::SleepFor(absl::Milliseconds(100));
  }
  reader.reset();
  migration.join();
  EXPECT_EQ(database.Query("SELECT count(*), count(b) FROM a"), "5");
}

TEST_F(SessionTest, AChangedMigrationIsRefused) {
  ASSERT_EQ(Migrate(database.options(), std::vector<Migration>{{"001_a.sql", "CREATE TABLE a (id int)"}}, {}),
            absl::OkStatus());
  const absl::Status status =
      Migrate(database.options(), std::vector<Migration>{{"001_a.sql", "CREATE TABLE a (id bigint)"}}, {});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("001_a.sql"));
}

TEST_F(SessionTest, AFailingMigrationLeavesNothing) {
  const absl::Status status =
      Migrate(database.options(), std::vector<Migration>{{"001_a.sql", "CREATE TABLE a (id int); SELECT 1/0;"}}, {});
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(database.Query("SELECT to_regclass('a')"), "");
  EXPECT_EQ(database.Query("SELECT count(*) FROM schema_migration"), "0");
}

TEST(MigrateTest, WaitsForTheServerAsLongAsItMay) {
  const absl::Time start = absl::Now();
  const absl::Status status = Migrate({.uri = "postgresql://postgres@127.0.0.1:1/x"}, {}, absl::Milliseconds(500));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(500));
}

}  // namespace
}  // namespace flotilla::postgres
