// One database as it was at one moment: a read-only REPEATABLE READ transaction.
#pragma once

#include <memory>
#include <pqxx/pqxx>
#include <string>

#include "absl/strings/str_cat.h"
#include "postgres/connection.h"

namespace flotilla::checker {

class Snapshot {
 public:
  // The moment is now. Throws pqxx::failure, as all methods do.
  explicit Snapshot(const std::string& uri)
      : connection_(postgres::Connect({.uri = uri,
                                       .application_name = "flotilla-check",
                                       .statement_timeout = absl::ZeroDuration(),
                                       .lock_timeout = absl::ZeroDuration()})),
        transaction_(*connection_) {
    // Whole tables are joined here, perhaps before they were ever analyzed: the opposite of what a service's session
    // wants.
    transaction_.exec("SET LOCAL enable_seqscan = on; SET LOCAL enable_nestloop = off");
    transaction_.exec("SELECT pg_current_snapshot()");
  }

  pqxx::result Query(const std::string& sql) { return transaction_.exec(sql); }

  template <class... Args>
  pqxx::result Query(const std::string& sql, Args&&... args) {
    return transaction_.exec_params(sql, std::forward<Args>(args)...);
  }

  // Calls `each` with every row, holding only a few thousand at a time.
  template <class Each>
  void Stream(const std::string& sql, Each each) {
    const std::string name = absl::StrCat("c", ++cursors_);
    transaction_.exec("DECLARE " + name + " NO SCROLL CURSOR FOR " + sql);
    for (;;) {
      const pqxx::result rows = transaction_.exec("FETCH 5000 FROM " + name);
      if (rows.empty()) break;
      for (const auto& row : rows) each(row);
    }
    transaction_.exec("CLOSE " + name);
  }

 private:
  std::unique_ptr<pqxx::connection> connection_;
  pqxx::transaction<pqxx::repeatable_read, pqxx::read_only> transaction_;
  int cursors_ = 0;
};

}  // namespace flotilla::checker
