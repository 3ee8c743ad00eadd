// One PostgreSQL connection for one batch worker's thread. Blocking; never on an event loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "postgres/link.h"
#include "postgres/parameter.h"
#include "postgres/rows.h"

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

// Rows that come with a later message of the transaction.
class Answer {
 public:
  const Rows& rows() const { return *rows_; }  // none before

 private:
  friend class Transaction;
  std::shared_ptr<Rows> rows_ = std::make_shared<Rows>();
};

// Statements of one transaction. Round trips are what a transaction costs while the server is not busy, so BEGIN
// travels with the first statement, and what is deferred travels with the next statement or with COMMIT, through
// libpq's pipeline mode (https://www.postgresql.org/docs/15/libpq-pipeline-mode.html).
class Transaction {
 public:
  // Throws where the statement fails, which ends the attempt: a body lets that pass.
  template <class... Args>
  Rows Run(const Statement& statement, Args&&... args) {
    return RunWith(statement, Parameters(std::forward<Args>(args)...));
  }

  // For a statement whose result nobody looks at. It runs in order, but its error comes with a later Run or at COMMIT.
  template <class... Args>
  void Defer(const Statement& statement, Args&&... args) {
    DeferWith(statement, Parameters(std::forward<Args>(args)...));
  }
  void DeferSql(std::string_view sql);  // one statement without parameters

  // Defer for a statement whose rows are looked at later: after the next Run, or after the commit.
  template <class... Args>
  Answer Ask(const Statement& statement, Args&&... args) {
    return AskWith(statement, Parameters(std::forward<Args>(args)...));
  }
  void Flush();  // sends what was deferred now, and waits for its answers

  // For a body of TransactHopefully that sees its hope fail: what it returns then, to run with kLook.
  absl::Status Dash();

 private:
  friend class Session;
  explicit Transaction(class Session& session) : session_(session) {}
  template <class... Args>
  static std::vector<Parameter> Parameters(Args&&... args) {
    std::vector<Parameter> parameters;
    parameters.reserve(sizeof...(args));
    (parameters.emplace_back(std::forward<Args>(args)), ...);
    return parameters;
  }
  Rows RunWith(const Statement& statement, std::vector<Parameter> parameters);
  void DeferWith(const Statement& statement, std::vector<Parameter> parameters);
  Answer AskWith(const Statement& statement, std::vector<Parameter> parameters);
  Rows Send();  // what was deferred, in one message; the last one's rows
  void Begin();
  void Commit();
  void Rollback();

  class Session& session_;
  std::vector<Request> deferred_;
  bool begun_ = false;  // BEGIN was deferred or sent
  bool open_ = false;   // BEGIN was sent
  bool failed_ = false;
  bool dashed_ = false;
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
  // raises assert_failure, or `body` says so by Dash() - everything is rolled back and `body` runs with kLook. ON
  // CONFLICT and answers on the way cost every row; this costs only those batches in which something is repeated or
  // raced.
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
