// Raw connections, for what a Session does not offer: session-level locks and state.
#pragma once

#include <memory>
#include <pqxx/pqxx>
#include <string>

#include "absl/status/status.h"
#include "postgres/session.h"

namespace flotilla::postgres {

// The options as one libpq connection string, with timeouts. Throws pqxx::broken_connection on a malformed uri.
std::string ConnectionString(const Options& options);

// Connects; the connection never reconnects by itself, which would silently lose prepared statements, locks and
// transactions. Throws pqxx::broken_connection.
std::unique_ptr<pqxx::connection> Connect(const Options& options);

// What an error says, without parameter values: its first line only (DETAIL and CONTEXT quote values), and not even
// that for data exceptions.
std::string Describe(const std::string& state, std::string_view message);
std::string Describe(const pqxx::sql_error& error);
std::string FirstLine(std::string_view text);

}  // namespace flotilla::postgres
