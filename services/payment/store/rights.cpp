#include "payment/store/rights.h"

#include <string>

#include "absl/status/statusor.h"

namespace flotilla::payment {
namespace {

const postgres::Statement kRole = {"own_role", "SELECT current_user"};

// quote_ident: a role's name is no parameter.
const postgres::Statement kGrant = {"grant_rights", R"(
    SELECT 'GRANT USAGE ON SCHEMA public TO ' || role
        || '; GRANT SELECT ON ALL TABLES IN SCHEMA public TO ' || role
        || '; GRANT INSERT ON account, transfer, charge, refund, deposit, provider_event, provider_dispute, journal_block, event, event_replay, relay_cursor, provider_statement, statement_line, difference TO '
        || role
        || '; GRANT UPDATE ON charge, settlement_cursor, relay_cursor TO ' || role
        || '; GRANT UPDATE (published, ended_at) ON event_replay TO ' || role
        || '; GRANT EXECUTE ON FUNCTION event_make_parts(), event_drop_parts() TO ' || role
        || '; GRANT UPDATE (state, reconciled_at, event_count, attempts, attempted_at, error, withdrawn_by, withdrawal_note, withdrawn_at) ON provider_statement TO ' || role
        || '; GRANT UPDATE (transfer_id) ON statement_line TO ' || role
        || '; GRANT UPDATE (state, operator, note, correction_id, closed_at) ON difference TO ' || role
        || '; GRANT UPDATE (balance) ON account TO ' || role
        || '; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ' || role
    FROM quote_ident($1::text) AS role)"};

absl::StatusOr<std::string> RoleOf(postgres::Session& session) {
  std::string role;
  const absl::Status status = session.Read([&](postgres::Transaction& transaction) {
    role = transaction.Run(kRole)[0][0].c_str();
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return role;
}

}  // namespace

absl::Status GrantRights(const postgres::Options& owner, const postgres::Options& service) {
  postgres::Session owner_session(owner), service_session(service);
  const absl::StatusOr<std::string> granter = RoleOf(owner_session);
  if (!granter.ok()) return granter.status();
  const absl::StatusOr<std::string> role = RoleOf(service_session);
  if (!role.ok()) return role.status();
  if (*granter == *role) return absl::OkStatus();
  return owner_session.Transact([&](postgres::Transaction& transaction) {
    transaction.DeferSql(transaction.Run(kGrant, *role)[0][0].c_str());
    return absl::OkStatus();
  });
}

}  // namespace flotilla::payment
