#include "postgres/session.h"

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <random>
#include <stdexcept>

#include "absl/container/flat_hash_map.h"
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

// Zero is libpq's and the server's "no limit".
std::int64_t Milliseconds(absl::Duration duration) {
  if (duration <= absl::ZeroDuration() || duration == absl::InfiniteDuration()) return 0;
  return std::max<std::int64_t>(1, absl::ToInt64Milliseconds(duration));
}

std::string Quoted(std::string_view value) {
  std::string quoted = "'";
  for (char c : value) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted += "'";
}

bool IsRolledBack(const std::string& state) { return state == "40001" || state == "40P01"; }

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

std::string ConnectionString(const Options& options) {
  char* message = nullptr;
  std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parsed(PQconninfoParse(options.uri.c_str(), &message),
                                                                      PQconninfoFree);
  if (!parsed) {
    const std::string text = message == nullptr ? "out of memory" : message;
    PQfreemem(message);
    throw pqxx::broken_connection("malformed connection string: " + text);
  }
  std::map<std::string, std::string> values;
  for (const PQconninfoOption* option = parsed.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) values[option->keyword] = option->val;
  }
  if (!options.password.empty()) values["password"] = options.password;
  if (!options.application_name.empty()) values["application_name"] = options.application_name;
  const std::int64_t statement = Milliseconds(options.statement_timeout);
  if (const std::int64_t connect = Milliseconds(options.connect_timeout); connect > 0) {
    values["connect_timeout"] = absl::StrCat((connect + 999) / 1000);
  }
  // A host that vanishes without a reset must not hold the thread for TCP's default of a quarter of an hour.
  values.emplace("keepalives_idle", "5");
  values.emplace("keepalives_interval", "2");
  values.emplace("keepalives_count", "3");
  values.emplace("tcp_user_timeout", "10000");
  // Nor may a process that stopped within a transaction hold its row locks.
  absl::StrAppend(&values["options"], " -c statement_timeout=", statement,
                  " -c lock_timeout=", Milliseconds(options.lock_timeout),
                  " -c idle_in_transaction_session_timeout=", 2 * statement,
                  // Prepared plans are kept, and one made while a table is small would scan it for ever: every
                  // statement here finds its rows by a key.
                  " -c enable_seqscan=off -c jit=off",
                  // The server's side of the same: a client host that vanished holds its locks only that long.
                  " -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3");
  std::string text;
  for (const auto& [key, value] : values) absl::StrAppend(&text, key, "=", Quoted(value), " ");
  return text;
}

std::unique_ptr<pqxx::connection> Connect(const Options& options) {
  auto connection = std::make_unique<pqxx::connection>(ConnectionString(options));
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
  connection->inhibit_reactivation(true);
#pragma clang diagnostic pop
  return connection;
}

std::string FirstLine(std::string_view text) {
  const std::size_t end = text.find('\n');
  return std::string(text.substr(0, end));
}

std::string Describe(const pqxx::sql_error& error) {
  if (error.sqlstate().starts_with("22")) return absl::StrCat("SQLSTATE ", error.sqlstate(), ": data exception");
  return absl::StrCat("SQLSTATE ", error.sqlstate(), ": ", FirstLine(error.what()));
}

Options Named(Options options, std::string_view purpose) {
  options.application_name.append(" ").append(purpose);
  return options;
}

struct Session::Impl {
  explicit Impl(Options o) : options(std::move(o)) {}

  Options options;
  std::unique_ptr<pqxx::connection> connection;
  absl::flat_hash_map<std::string, const char*> prepared;  // of this connection: name to SQL
  async::SteadyTime connect_again = {};
  absl::Status connect_error;
  std::minstd_rand random{std::random_device{}()};

  absl::Status EnsureConnected() {
    if (connection) return absl::OkStatus();
    if (async::SteadyNow() < connect_again) return connect_error;
    try {
      connection = Connect(options);
      return absl::OkStatus();
    } catch (const std::exception& error) {
      connect_error = absl::UnavailableError("postgres: cannot connect: " + FirstLine(error.what()));
    }
    connect_again = async::After(kConnectPause);
    return connect_error;
  }

  void Disconnect() {
    prepared.clear();
    connection.reset();
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
    const Attempt lost =
        committing ? Attempt{absl::UnknownError("postgres: connection lost during commit"), Next::kReturn, true}
                   : Attempt{absl::UnavailableError("postgres: connection lost"), Next::kRetry, true};
    try {
      throw;
    } catch (const pqxx::in_doubt_error&) {
      return {absl::UnknownError("postgres: connection lost during commit"), Next::kReturn, true};
    } catch (const pqxx::statement_completion_unknown&) {
      return {absl::UnknownError("postgres: statement completion unknown"), Next::kReturn, true};
    } catch (const pqxx::transaction_rollback& error) {
      return {absl::AbortedError("postgres: " + FirstLine(error.what())), Next::kRetry};
    } catch (const pqxx::sql_error& error) {
      const std::string& state = error.sqlstate();
      if (IsTimeout(state)) return {absl::DeadlineExceededError("postgres: " + Describe(error))};
      if (IsRolledBack(state)) return {absl::AbortedError("postgres: " + Describe(error)), Next::kRetry};
      if (IsShortOfResources(state)) return {absl::UnavailableError("postgres: " + Describe(error))};
      if (IsDisconnect(state) || !connection->is_open()) return lost;
      const absl::Status internal = absl::InternalError("postgres: " + Describe(error));
      if (IsHopeDashed(state)) return {internal, Next::kRetryWithCare};
      // A migration changed a table under a prepared statement ("cached plan must not change result type").
      if (state == "0A000") return {internal, Next::kRetry, true};
      // Connected to a server that has become a standby.
      if (state == "25006") return {absl::UnavailableError("postgres: " + Describe(error)), Next::kReturn, true};
      return {internal};
    } catch (const pqxx::broken_connection& error) {
      // libpqxx reports a wrong number of parameters this way too, on a connection that is fine.
      if (connection->is_open())
        return {absl::InternalError("postgres: " + FirstLine(error.what())), Next::kReturn, true};
      return lost;
    } catch (const std::exception& error) {
      if (!connection->is_open()) return lost;
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
      Transaction transaction(*this, *impl_->connection);
      try {
        if (mode == Mode::kTransaction) transaction.Begin();
        result = {.status = body(transaction, care)};
        if (result.status.ok() && transaction.failed_) {
          result.status = absl::InternalError("postgres: a statement failed, but its transaction was to be committed");
        }
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
        if (impl_->connection->is_open()) transaction.Rollback();
      }
    } catch (...) {  // no transaction began, or the rollback failed: this connection is of no more use
      result.disconnect = true;
    }
    if (result.disconnect || !impl_->connection->is_open()) impl_->Disconnect();
    const bool dashed = result.next == Next::kRetryWithCare;
    if (dashed && std::exchange(care, Care::kLook) == Care::kHope) continue;
    if (dashed || result.next == Next::kReturn || attempt >= impl_->options.max_attempts) return result.status;
    // A lost connection needs no wait: connecting again fails fast while the server is away.
    if (!result.disconnect) impl_->Backoff(attempt);
  }
}

void Transaction::DeferSql(std::string_view sql) {
  if (!deferred_.empty()) deferred_ += ';';
  deferred_ += sql;
}

pqxx::result Transaction::Send(std::string_view last) {
  DeferSql(last);
  const std::string message = std::exchange(deferred_, {});
  open_ = true;
  return work_.exec(message);
}

void Transaction::Rollback() {
  deferred_.clear();
  if (std::exchange(open_, false)) work_.exec("ROLLBACK");
}

void Transaction::Prepare(const Statement& statement) {
  auto& prepared = session_.impl_->prepared;
  const auto known = prepared.find(statement.name);
  if (known == prepared.end()) {
    work_.conn().prepare(statement.name, statement.sql);
    work_.conn().prepare_now(statement.name);  // libpqxx would wait for an exec_prepared, which EXECUTE is not
    prepared.emplace(statement.name, statement.sql);
  } else if (known->second != statement.sql && std::string_view(known->second) != statement.sql) {
    throw std::logic_error(absl::StrCat("two statements are named ", statement.name));
  }
}

namespace {

constexpr char kHex[] = "0123456789abcdef";

void AppendHex(std::string_view bytes, std::string& out) {
  const std::size_t start = out.size();
  out.resize(start + 2 * bytes.size());
  char* to = out.data() + start;
  for (unsigned char byte : bytes) {
    *to++ = kHex[byte >> 4];
    *to++ = kHex[byte & 15];
  }
}

template <class Text>
std::string TextArray(std::span<const Text> texts) {
  std::size_t size = 2;
  for (const Text& text : texts) size += text.size() + 3;
  std::string out;
  out.reserve(size + size / 16);
  out += '{';
  for (std::string_view text : texts) {
    if (out.size() > 1) out += ',';
    out += '"';  // always quoted, so that neither NULL, nor spaces, nor the empty text are special
    for (;;) {
      const std::size_t special = text.find_first_of("\"\\");
      out.append(text.substr(0, special));
      if (special == std::string_view::npos) break;
      out += '\\';
      out += text[special];
      text.remove_prefix(special + 1);
    }
    out += '"';
  }
  out += '}';
  return out;
}

template <class Text>
std::string HexArray(std::span<const Text> bytes) {
  std::size_t size = 2;
  for (const Text& element : bytes) size += 2 * element.size() + 6;
  std::string out;
  out.reserve(size);
  out += '{';
  for (const Text& element : bytes) {
    if (out.size() > 1) out += ',';
    out += R"("\\x)";
    AppendHex(element, out);
    out += '"';
  }
  out += '}';
  return out;
}

constexpr std::array<std::int8_t, 256> kDigit = [] {
  std::array<std::int8_t, 256> digits{};
  digits.fill(-1);
  for (int i = 0; i < 10; ++i) digits['0' + i] = static_cast<std::int8_t>(i);
  for (int i = 0; i < 6; ++i) digits['a' + i] = digits['A' + i] = static_cast<std::int8_t>(10 + i);
  return digits;
}();

}  // namespace

std::string Array(std::span<const std::string> texts) { return TextArray(texts); }
std::string Array(std::span<const std::string_view> texts) { return TextArray(texts); }

std::string Array(std::span<const std::int64_t> numbers) {
  std::string out;
  out.reserve(2 + numbers.size() * 12);
  out += '{';
  for (std::int64_t number : numbers) {
    if (out.size() > 1) out += ',';
    absl::StrAppend(&out, number);
  }
  out += '}';
  return out;
}

std::string ByteArray(std::span<const std::string> bytes) { return HexArray(bytes); }
std::string ByteArray(std::span<const std::string_view> bytes) { return HexArray(bytes); }

std::string Bytes(std::string_view bytes) {
  std::string out;
  out.reserve(2 + 2 * bytes.size());
  out += "\\x";
  AppendHex(bytes, out);
  return out;
}

std::string FromBytes(std::string_view hex) {
  if (!hex.starts_with("\\x") || hex.size() % 2 != 0) throw std::invalid_argument("not a bytea in hex format");
  hex.remove_prefix(2);
  std::string out(hex.size() / 2, '\0');
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = kDigit[static_cast<unsigned char>(hex[2 * i])];
    const int low = kDigit[static_cast<unsigned char>(hex[2 * i + 1])];
    if (high < 0 || low < 0) throw std::invalid_argument("not a bytea in hex format");
    out[i] = static_cast<char>(high << 4 | low);
  }
  return out;
}

std::vector<std::string> Elements(const pqxx::field& array) {
  std::vector<std::string> out;
  auto parser = array.as_array();
  for (auto item = parser.get_next(); item.first != pqxx::array_parser::done; item = parser.get_next()) {
    if (item.first == pqxx::array_parser::string_value) out.push_back(item.second);
  }
  return out;
}

}  // namespace flotilla::postgres
