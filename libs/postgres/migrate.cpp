#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "digest/digest.h"
#include "postgres/connection.h"
#include "postgres/session.h"

namespace flotilla::postgres {
namespace {

constexpr char kLock[] = "SELECT pg_advisory_lock(hashtextextended('flotilla schema_migration', 0))";
constexpr char kUnlock[] = "SELECT pg_advisory_unlock_all()";
constexpr char kTable[] =
    "CREATE TABLE IF NOT EXISTS schema_migration ("
    "name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())";

std::string Checksum(std::string_view sql) {
  return absl::BytesToHexString(std::string(digest::Bytes(digest::Sha256(sql))));
}

// The server stops or starts, or somebody has a table locked.
bool Passing(const pqxx::sql_error& error) {
  return error.sqlstate().starts_with("57P") || error.sqlstate() == "55P03";
}

absl::Status Apply(pqxx::connection& connection, const Migration& migration) {
  const std::string name(migration.name);
  const std::string checksum = Checksum(migration.sql);
  try {
    pqxx::work work(connection);
    const pqxx::result known = work.exec_params("SELECT checksum FROM schema_migration WHERE name = $1", name);
    if (!known.empty()) {
      if (known[0][0].as<std::string>() == checksum) return absl::OkStatus();
      return absl::FailedPreconditionError(absl::StrCat(
          "migration ", name, " was applied with another text; add a new migration instead of changing it"));
    }
    work.exec(std::string(migration.sql));
    work.exec_params("INSERT INTO schema_migration (name, checksum) VALUES ($1, $2)", name, checksum);
    work.commit();
    return absl::OkStatus();
  } catch (const pqxx::sql_error& error) {
    if (Passing(error)) throw;
    if (!connection.is_open()) throw pqxx::broken_connection(error.what());
    return absl::InternalError(absl::StrCat("migration ", name, ": ", Describe(error)));
  }
}

absl::Status ApplyAll(pqxx::connection& connection, std::span<const Migration> migrations) {
  pqxx::nontransaction(connection).exec(kLock);
  // A notice for the table that exists is noise.
  pqxx::nontransaction(connection).exec("SET client_min_messages = warning");
  pqxx::nontransaction(connection).exec(kTable);
  // Whoever waits for a table keeps all others waiting behind him: rather give up soon, and come again.
  pqxx::nontransaction(connection).exec("SET lock_timeout = '200ms'");
  for (const Migration& migration : migrations) {
    if (absl::Status status = Apply(connection, migration); !status.ok()) return status;
  }
  pqxx::nontransaction(connection).exec(kUnlock);
  return absl::OkStatus();
}

}  // namespace

std::vector<Migration> Joined(std::initializer_list<std::span<const Migration>> lists) {
  std::vector<Migration> joined;
  for (const auto& list : lists) joined.insert(joined.end(), list.begin(), list.end());
  return joined;
}

absl::Status Migrate(const Options& options, std::span<const Migration> migrations, absl::Duration wait) {
  Options patient = options;  // a migration takes as long as it takes
  patient.statement_timeout = absl::ZeroDuration();
  patient.lock_timeout = absl::ZeroDuration();
  const absl::Time deadline = absl::Now() + wait;  // NOLINT(clang-analyzer-deadcode.DeadStores): for what is thrown
  for (;;) {
    absl::Status status;
    try {
      const std::unique_ptr<pqxx::connection> connection = Connect(patient);
      return ApplyAll(*connection, migrations);
    } catch (const pqxx::sql_error& error) {
      if (!Passing(error)) return absl::InternalError("migrations: " + Describe(error));
      status = absl::UnavailableError("migrations: " + Describe(error));
    } catch (const pqxx::failure& error) {  // no connection, or lost; what was committed is recorded
      status = absl::UnavailableError("migrations: " + FirstLine(error.what()));
    } catch (const std::exception& error) {
      return absl::InternalError("migrations: " + FirstLine(error.what()));
    }
    if (absl::Now() >= deadline) return status;
    absl::SleepFor(std::min(absl::Milliseconds(500), deadline - absl::Now()));
  }
}

}  // namespace flotilla::postgres
