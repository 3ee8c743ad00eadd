// What a service's own role may do in its database, where another role owns the tables and migrates them.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "postgres/session.h"

namespace flotilla::postgres {

// One line of what a service needs besides reading its own tables and counting up its sequences, which every service
// may: GRANT <act> ON <objects>. Columns stand with the act.
//
//   {"INSERT, DELETE", "purchase"}, {"UPDATE (state, updated_at)", "reservation"}
//
// Locking rows (FOR UPDATE) needs UPDATE on some column, too.
struct Right {
  std::string_view act;
  std::string_view objects;
};
using Rights = std::vector<Right>;

// As the tables' owner: gives the role that `service` connects as these rights and no more, so that it cannot change
// the schema, empty a table, or rewrite what is append-only. Does nothing where both are one role. Idempotent. It only
// adds, for instances of the version before may still run; what a version no longer needs is revoked by a later
// migration.
absl::Status GrantRights(const Options& owner, const Options& service, std::span<const Right> rights);

}  // namespace flotilla::postgres
