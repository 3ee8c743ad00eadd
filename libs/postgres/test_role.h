// For tests: a role as services have one, in a TestDatabase that belongs to the administrator.
#pragma once

#include <exception>
#include <memory>
#include <pqxx/pqxx>
#include <span>
#include <stdexcept>
#include <string>

#include "absl/status/status.h"
#include "postgres/rights.h"
#include "postgres/test_database.h"

namespace flotilla::postgres {

class TestRole {
 public:
  TestRole(const TestDatabase& database, std::span<const Right> rights)
      : database_(database), name_(database.name() + "_service") {
    database_.Query("CREATE ROLE " + name_ + " LOGIN PASSWORD 'secret'");
    const absl::Status granted = GrantRights(database_.options(), options(), rights);
    if (!granted.ok()) throw std::runtime_error(granted.ToString());
  }
  ~TestRole() {
    try {
      database_.Query("DROP OWNED BY " + name_);
      database_.Query("DROP ROLE " + name_);
    } catch (const std::exception&) {  // the server is gone, and the role with it
    }
  }
  TestRole(const TestRole&) = delete;

  const std::string& name() const { return name_; }
  Options options() const {
    Options options = database_.options();
    options.uri = "postgresql://" + name_ + ":secret" + options.uri.substr(options.uri.find('@'));
    return options;
  }

  // What becomes of a statement of this role, which is then rolled back: "allowed", "refused" (its rights do not reach
  // so far), or another error's text.
  std::string Try(const std::string& sql) const {
    if (connection_ == nullptr) connection_ = std::make_unique<pqxx::connection>(options().uri);
    pqxx::work work(*connection_);
    try {
      work.exec(sql);
      return "allowed";
    } catch (const pqxx::insufficient_privilege&) {
      return "refused";
    } catch (const pqxx::sql_error& error) {
      return error.what();
    }
  }

  // What must be refused to every service, whatever its tables are: one line for each act that was not.
  std::string Liberties() const {
    std::string liberties;
    const auto refuse = [&](const std::string& sql) {
      if (const std::string answer = Try(sql); answer != "refused") liberties += sql + ": " + answer + "\n";
    };
    pqxx::connection connection(database_.options().uri);
    pqxx::nontransaction work(connection);
    for (const auto& row : work.exec("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                                     " AND relkind IN ('r', 'p')")) {
      const std::string table = row[0].c_str();
      refuse("TRUNCATE " + table);
      refuse("DROP TABLE " + table);
      refuse("ALTER TABLE " + table + " DISABLE TRIGGER ALL");
      refuse("ALTER TABLE " + table + " ADD COLUMN more int");
      refuse("CREATE INDEX ON " + table + " ((1))");
    }
    for (const char* sql :
         {"CREATE TABLE mine (n int)", "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
          "CREATE SCHEMA mine", "CREATE ROLE mine", "DROP SCHEMA public CASCADE",
          "SET session_replication_role = replica", "INSERT INTO schema_migration (name, checksum) VALUES ('x', 'x')",
          "UPDATE schema_migration SET checksum = 'x'", "DELETE FROM schema_migration",
          "COPY (SELECT 1) TO PROGRAM 'true'", "SELECT pg_read_file('/etc/passwd')",
          "SELECT rolpassword FROM pg_authid"}) {
      refuse(sql);
    }
    return liberties;
  }

 private:
  const TestDatabase& database_;
  const std::string name_;
  mutable std::unique_ptr<pqxx::connection> connection_;  // of Try
};

}  // namespace flotilla::postgres
