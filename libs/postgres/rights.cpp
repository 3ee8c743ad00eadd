#include "postgres/rights.h"

#include <string>

#include "absl/status/statusor.h"

namespace flotilla::postgres {
namespace {

// quote_ident: a role's name is no parameter.
const Statement kRole = {"own_role", "SELECT quote_ident(current_user)"};

// Instances that start together would change the same rows of the catalog, which fails one of them.
const Statement kInTurn = {"rights_in_turn", "SELECT pg_advisory_xact_lock(hashtextextended('flotilla rights', 0))"};

absl::StatusOr<std::string> RoleOf(Session& session) {
  std::string role;
  const absl::Status status = session.Read([&](Transaction& transaction) {
    role = transaction.Run(kRole)[0][0].c_str();
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return role;
}

}  // namespace

absl::Status GrantRights(const Options& owner, const Options& service, std::span<const Right> rights) {
  Session owner_session(owner), service_session(service);
  const absl::StatusOr<std::string> granter = RoleOf(owner_session);
  if (!granter.ok()) return granter.status();
  const absl::StatusOr<std::string> role = RoleOf(service_session);
  if (!role.ok()) return role.status();
  if (*granter == *role) return absl::OkStatus();
  return owner_session.Transact([&](Transaction& transaction) {
    transaction.Run(kInTurn);
    const auto grant = [&](std::string_view act, std::string_view objects) {
      transaction.DeferSql(std::string("GRANT ").append(act).append(" ON ").append(objects).append(" TO ") + *role);
    };
    grant("USAGE", "SCHEMA public");
    grant("SELECT", "ALL TABLES IN SCHEMA public");
    grant("USAGE", "ALL SEQUENCES IN SCHEMA public");
    for (const Right& right : rights) grant(right.act, right.objects);
    return absl::OkStatus();
  });
}

}  // namespace flotilla::postgres
