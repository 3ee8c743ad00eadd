#include "postgres/session.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "async/steady_time.h"
#include "failpoint/failpoint.h"
#include "postgres/connection.h"

namespace flotilla::postgres {
namespace {

// After a failed connect, calls fail at once for this long instead of queueing up behind connect attempts.
constexpr absl::Duration kConnectPause = absl::Milliseconds(100);

constexpr char kCompletionUnknown[] = "40003";
constexpr char kFailedTransaction[] = "25P02";

// A deadlock's victim, a serialization failure.
bool IsRolledBack(const std::string& state) { return state.starts_with("40"); }

bool IsTimeout(const std::string& state) { return state == "57014" || state == "55P03"; }

// The server ended the connection: shutdown, crash of another backend, idle limits, failover.
bool IsDisconnect(const std::string& state) {
  return state.starts_with("08") || state == "57P01" || state == "57P02" || state == "57P03" || state == "57P05" ||
         state == "25P03";
}

// Disk full, out of memory: the server's fault of the moment, not the statement's.
bool IsShortOfResources(const std::string& state) { return state.starts_with("53"); }

bool IsHopeDashed(const std::string& state) { return state == "23505" || state == "P0004"; }

enum class Next { kReturn, kRetry, kRetryWithCare };

struct Attempt {
  absl::Status status;
  Next next = Next::kReturn;
  bool disconnect = false;
};

}  // namespace

struct Session::Impl {
  explicit Impl(Options o) : options(std::move(o)) {}

  Options options;
  std::unique_ptr<Link> link;
  async::SteadyTime connect_again = {};
  absl::Status connect_error;
  std::minstd_rand random{std::random_device{}()};

  absl::Status EnsureConnected() {
    if (link != nullptr) return absl::OkStatus();
    if (async::SteadyNow() < connect_again) return connect_error;
    try {
      link = std::make_unique<Link>(ConnectionString(options));
      return absl::OkStatus();
    } catch (const std::exception& error) {
      connect_error = absl::UnavailableError("postgres: cannot connect: " + FirstLine(error.what()));
    }
    connect_again = async::After(kConnectPause);
    return connect_error;
  }

  absl::Status Failpoint([[maybe_unused]] const char* when) const {
    return FLOTILLA_FAILPOINT(
        absl::StrReplaceAll(absl::StrCat("commit.", options.application_name, ".", when), {{" ", "_"}}));
  }

  void Backoff(int attempt) {
    const double limit_ms = std::min(50.0, 2.0 * std::pow(2.0, attempt));
    absl::SleepFor(absl::Milliseconds(std::uniform_real_distribution<double>(limit_ms / 4, limit_ms)(random)));
  }

  // Maps the exception in flight. `committing`: COMMIT was sent, so a lost connection leaves the outcome open.
  Attempt Explain(bool committing) const {
    Attempt lost = committing
                       ? Attempt{absl::UnknownError("postgres: connection lost during commit"), Next::kReturn, true}
                       : Attempt{absl::UnavailableError("postgres: connection lost"), Next::kRetry, true};
    try {
      throw;
    } catch (const SqlError& error) {
      const std::string& state = error.state();
      const std::string said = absl::StrCat("postgres: ", Describe(state, error.what()));
      // Whatever the server said before it went: it may be replayed when it comes back.
      if (committing && (state.empty() || !link->is_open())) return lost;
      if (state == kCompletionUnknown) return {absl::UnknownError(said), Next::kReturn, true};
      if (IsTimeout(state)) return {absl::DeadlineExceededError(said)};
      if (IsRolledBack(state)) return {absl::AbortedError(said), Next::kRetry};
      if (IsShortOfResources(state)) return {absl::UnavailableError(said)};
      if (IsDisconnect(state) || !link->is_open()) return lost;
      if (IsHopeDashed(state)) return {absl::InternalError(said), Next::kRetryWithCare};
      // A migration changed a table under a prepared statement ("cached plan must not change result type"); or the
      // server knows other prepared statements than the link does.
      if (state == "0A000" || state == "42P05" || state == "26000")
        return {absl::InternalError(said), Next::kRetry, true};
      // Connected to a server that has become a standby.
      if (state == "25006") return {absl::UnavailableError(said), Next::kReturn, true};
      // Not the server's word: libpq could not go on with this connection.
      return {absl::InternalError(said), Next::kReturn, state.empty()};
    } catch (const std::exception& error) {
      if (!link->is_open()) return lost;
      return {absl::InternalError("postgres: " + FirstLine(error.what()))};
    }
  }
};

Session::Session(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Session::~Session() = default;

absl::Status Session::Transact(const std::function<absl::Status(Transaction&)>& body) {
  return Attempts(Mode::kTransaction, Care::kLook, [&](Transaction& transaction, Care) { return body(transaction); });
}

absl::Status Session::TransactHopefully(const std::function<absl::Status(Transaction&, Care)>& body) {
  return Attempts(Mode::kTransaction, Care::kHope, body);
}

absl::Status Session::Read(const std::function<absl::Status(Transaction&)>& body) {
  return Attempts(Mode::kAutocommit, Care::kLook, [&](Transaction& transaction, Care) { return body(transaction); });
}

absl::Status Session::Attempts(Mode mode, Care care, const std::function<absl::Status(Transaction&, Care)>& body) {
  for (int attempt = 1;; ++attempt) {
    if (absl::Status connected = impl_->EnsureConnected(); !connected.ok()) return connected;
    bool committing = false;
    // Until the body has run: a connection may turn out dead before a transaction can begin, which must be no success.
    Attempt result{absl::UnavailableError("postgres: connection lost"), Next::kRetry, true};
    try {
      Transaction transaction(*this);
      try {
        if (mode == Mode::kTransaction) transaction.Begin();
        result = {.status = body(transaction, care)};
        if (result.status.ok() && transaction.failed_) {
          result.status = absl::InternalError("postgres: a statement failed, but its transaction was to be committed");
        }
        if (!result.status.ok() && transaction.dashed_) result.next = Next::kRetryWithCare;
        if (mode == Mode::kTransaction && result.status.ok()) result.status = impl_->Failpoint("before");
        if (mode == Mode::kTransaction && result.status.ok()) {
          committing = true;
          transaction.Commit();
          result.status = impl_->Failpoint("after");
        } else {
          transaction.Rollback();
        }
      } catch (...) {
        result = impl_->Explain(committing);
        if (impl_->link->is_open()) transaction.Rollback();
      }
    } catch (...) {  // no transaction began, or the rollback failed: this connection is of no more use
      result.disconnect = true;
    }
    if (result.disconnect || !impl_->link->is_open()) impl_->link.reset();
    const bool dashed = result.next == Next::kRetryWithCare;
    if (dashed && std::exchange(care, Care::kLook) == Care::kHope) continue;
    if (dashed || result.next == Next::kReturn || attempt >= impl_->options.max_attempts) return result.status;
    // A lost connection needs no wait: connecting again fails fast while the server is away.
    if (!result.disconnect) impl_->Backoff(attempt);
  }
}

Rows Transaction::RunWith(const Statement& statement, std::vector<Parameter> parameters) {
  failed_ = true;  // until it returned: COMMIT of a failed transaction is a silent ROLLBACK
  DeferWith(statement, std::move(parameters));
  Rows rows = Send();
  failed_ = false;
  return rows;
}

void Transaction::Flush() {
  if (deferred_.empty()) return;
  failed_ = true;
  Send();
  failed_ = false;
}

void Transaction::DeferWith(const Statement& statement, std::vector<Parameter> parameters) {
  deferred_.push_back(session_.impl_->link->Prepared(statement, std::move(parameters)));
}

Answer Transaction::AskWith(const Statement& statement, std::vector<Parameter> parameters) {
  Answer answer;
  DeferWith(statement, std::move(parameters));
  deferred_.back().answer = answer.rows_;
  return answer;
}

void Transaction::DeferSql(std::string_view sql) { deferred_.push_back({.sql = std::string(sql)}); }

absl::Status Transaction::Dash() {
  dashed_ = true;
  return absl::InternalError("postgres: a hope failed in a transaction that had none");
}

Rows Transaction::Send() {
  const std::vector<Request> requests = std::exchange(deferred_, {});
  open_ = begun_;
  return session_.impl_->link->Run(requests);
}

void Transaction::Begin() {
  begun_ = true;
  DeferSql("BEGIN");
}

void Transaction::Commit() {
  DeferSql("COMMIT");
  if (Send().command() != "COMMIT") throw SqlError(kFailedTransaction, "a failed transaction was to be committed");
}

void Transaction::Rollback() {
  deferred_.clear();
  if (!std::exchange(open_, false)) return;
  DeferSql("ROLLBACK");
  Send();
}

}  // namespace flotilla::postgres
