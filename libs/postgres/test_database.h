// For tests: a database of one's own on the server FLOTILLA_TEST_POSTGRES names, dropped at the end.
#pragma once

#include <unistd.h>

#include <exception>
#include <pqxx/pqxx>
#include <string>

#include "postgres/session.h"
#include "testing/environment.h"

// libpqxx 6.4 leaks one PGresult whenever a statement finds its connection lost.
// NOLINTNEXTLINE(bugprone-reserved-identifier): LeakSanitizer looks for this name.
extern "C" __attribute__((weak)) const char* __lsan_default_suppressions() { return "leak:libpqxx-6.4.so\n"; }

namespace flotilla::postgres {

class TestDatabase {
 public:
  TestDatabase() {
    static int count = 0;
    name_ = "test_" + std::to_string(getpid()) + "_" + std::to_string(++count);
    Admin("DROP DATABASE IF EXISTS " + name_ + " WITH (FORCE)");
    Admin("CREATE DATABASE " + name_);
  }
  ~TestDatabase() {
    try {
      Admin("DROP DATABASE " + name_ + " WITH (FORCE)");
    } catch (const std::exception&) {  // the server is gone, and the database with it
    }
  }
  TestDatabase(const TestDatabase&) = delete;

  Options options() const {
    const std::string uri = TestPostgres();
    return {.uri = uri.substr(0, uri.rfind('/') + 1) + name_,
            .application_name = "test",
            .connect_timeout = absl::Seconds(30),  // these are for a busy machine
            .statement_timeout = absl::Seconds(60),
            .lock_timeout = absl::Seconds(30)};
  }
  const std::string& name() const { return name_; }

  // On a connection of its own, outside a transaction; the first field of the first row, or "".
  std::string Query(const std::string& sql) const {
    pqxx::connection connection(options().uri);
    const pqxx::result result = pqxx::nontransaction(connection).exec(sql);
    return result.empty() || result[0][0].is_null() ? "" : result[0][0].as<std::string>();
  }

 private:
  static void Admin(const std::string& sql) {
    pqxx::connection connection(TestPostgres());
    pqxx::nontransaction(connection).exec(sql);
  }

  std::string name_;
};

}  // namespace flotilla::postgres
