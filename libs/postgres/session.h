// One PostgreSQL connection for one batch worker's thread. Blocking; never on an event loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <pqxx/pqxx>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace flotilla::postgres {

struct Options {
  std::string uri;            // libpq connection string
  std::string password = "";  // empty: in the uri, or PGPASSWORD
  std::string application_name = "flotilla";
  absl::Duration connect_timeout = absl::Seconds(3);
  absl::Duration statement_timeout = absl::Seconds(5);
  absl::Duration lock_timeout = absl::Seconds(3);
  // Of a transaction that was rolled back by a deadlock, a serialization failure or a lost connection.
  int max_attempts = 4;
};

// The same options for a connection of its own: shown by pg_stat_activity as "flotilla-order place", say.
Options Named(Options options, std::string_view purpose);

// A named statement, prepared on first use of every connection. Usually a namespace-scope constant.
struct Statement {
  const char* name;
  const char* sql;
};

// Statements of one transaction. Round trips are what a transaction costs while the server is not busy, so BEGIN
// travels with the first statement, and what is deferred travels with the next statement or with COMMIT.
class Transaction {
 public:
  // Parameters as libpqxx converts them; arrays as built by Array() below.
  template <class... Args>
  pqxx::result Run(const Statement& statement, Args&&... args) {
    Prepare(statement);
    failed_ = true;  // until it returned: COMMIT of a failed transaction is a silent ROLLBACK
    pqxx::result result = deferred_.empty() ? work_.exec_prepared(statement.name, std::forward<Args>(args)...)
                                            : Send(Execute(statement, args...));
    failed_ = false;
    return result;
  }

  // For a statement whose result nobody looks at. It runs in order, but its error comes with a later Run or at COMMIT.
  template <class... Args>
  void Defer(const Statement& statement, Args&&... args) {
    Prepare(statement);
    DeferSql(Execute(statement, args...));
  }
  void DeferSql(std::string_view sql);

 private:
  friend class Session;
  Transaction(class Session& session, pqxx::connection& connection) : session_(session), work_(connection) {}
  void Prepare(const Statement& statement);
  // EXECUTE with the parameters as literals: only so can it share a message with other statements.
  template <class... Args>
  std::string Execute(const Statement& statement, const Args&... args) {
    std::string sql = std::string("EXECUTE ") + statement.name;
    char separator = '(';
    ((sql += separator, sql += work_.quote(args), separator = ','), ...);
    return separator == ',' ? sql + ')' : sql;
  }
  pqxx::result Send(std::string_view last);  // in one message with what was deferred
  void Begin() { DeferSql("BEGIN"); }
  void Commit() { Send("COMMIT"); }
  void Rollback();

  class Session& session_;
  pqxx::nontransaction work_;  // BEGIN and COMMIT are ours
  std::string deferred_;
  bool open_ = false;  // something of the transaction was sent
  bool failed_ = false;
};

// What a body of Session::TransactHopefully may take for granted.
enum class Care {
  kHope,  // its rows are new and its changes find theirs: it need not wait for answers
  kLook,  // nothing
};

class Session {
 public:
  // Does not connect yet.
  explicit Session(Options options);
  ~Session();

  // Runs `body` in one transaction (READ COMMITTED) and commits when it returns OK; rolls back otherwise. `body` may
  // run several times, so its effects outside the transaction must be assignments. UNAVAILABLE: no connection, or
  // the server is short of disk or memory; nothing was committed. UNKNOWN: the connection was lost during COMMIT, the
  // outcome is unknown: ask again by idempotency key. ABORTED: gave up after deadlocks. DEADLINE_EXCEEDED: statement or
  // lock timeout.
  absl::Status Transact(const std::function<absl::Status(Transaction&)>& body);

  // The same, first with kHope. Where that hope fails - a unique constraint is violated, or a function of the schema
  // raises assert_failure - everything is rolled back and `body` runs with kLook. ON CONFLICT and answers on the way
  // cost every row; this costs only those batches in which something is repeated or raced.
  absl::Status TransactHopefully(const std::function<absl::Status(Transaction&, Care)>& body);

  // Transact without BEGIN and COMMIT, for a body that only reads and needs no common snapshot: each statement is a
  // transaction of its own. Never UNKNOWN.
  absl::Status Read(const std::function<absl::Status(Transaction&)>& body);

 private:
  friend class Transaction;
  enum class Mode { kTransaction, kAutocommit };
  absl::Status Attempts(Mode mode, Care care, const std::function<absl::Status(Transaction&, Care)>& body);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// PostgreSQL array literals for unnest($1::type[]). Text is quoted, bytes become bytea hex.
std::string Array(std::span<const std::string> texts);
std::string Array(std::span<const std::string_view> texts);
std::string Array(std::span<const std::int64_t> numbers);
std::string ByteArray(std::span<const std::string> bytes);
std::string ByteArray(std::span<const std::string_view> bytes);
std::string Bytes(std::string_view bytes);    // one bytea parameter ("\x...")
std::string FromBytes(std::string_view hex);  // a bytea result field
std::vector<std::string> Elements(const pqxx::field& array);

// SQL text of one migration, in order; `name` such as "001_stock.sql". Compiled in (see flotilla_migrations in CMake).
struct Migration {
  std::string_view name;
  std::string_view sql;
};
// One schema of several rooms' migrations, in that order.
std::vector<Migration> Joined(std::initializer_list<std::span<const Migration>> lists);
// Applies what is missing, under an advisory lock, each migration in its own transaction, recorded in schema_migration
// with its checksum. Waits for the server, and for locks that others have, up to `wait`. FAILED_PRECONDITION where an
// applied migration's text has changed.
absl::Status Migrate(const Options& options, std::span<const Migration> migrations, absl::Duration wait);

}  // namespace flotilla::postgres
