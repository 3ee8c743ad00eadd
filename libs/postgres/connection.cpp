#include "postgres/connection.h"

#include <libpq-fe.h>

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace flotilla::postgres {
namespace {

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

std::string Describe(const std::string& state, std::string_view message) {
  if (state.starts_with("22")) return absl::StrCat("SQLSTATE ", state, ": data exception");
  return absl::StrCat("SQLSTATE ", state, ": ", FirstLine(message));
}

std::string Describe(const pqxx::sql_error& error) { return Describe(error.sqlstate(), error.what()); }

Options Named(Options options, std::string_view purpose) {
  options.application_name.append(" ").append(purpose);
  return options;
}

}  // namespace flotilla::postgres
