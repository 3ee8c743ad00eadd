#include "payment/store/schema.h"

#include "events/log.h"
#include "payment/store/migrations.h"

namespace flotilla::payment {

std::vector<postgres::Migration> Schema() { return postgres::Joined({events::LogMigrations(), Migrations()}); }

postgres::Rights Rights() {
  postgres::Rights rights = events::LogRights();
  rights.push_back({"INSERT",
                    "account, transfer, charge, refund, deposit, journal_block, provider_event, provider_dispute,"
                    " provider_statement, statement_line, difference, settlement_wait, order_look"});
  rights.push_back({"UPDATE", "charge, settlement_cursor, settlement_wait, order_match_cursor, order_look"});
  rights.push_back({"UPDATE (balance)", "account"});
  rights.push_back({"DELETE", "settlement_wait, order_look"});
  rights.push_back(
      {"UPDATE (state, reconciled_at, event_count, attempts, attempted_at, error, withdrawn_by,"
       " withdrawal_note, withdrawn_at)",
       "provider_statement"});
  rights.push_back({"UPDATE (transfer_id)", "statement_line"});
  rights.push_back({"UPDATE (state, operator, note, correction_id, closed_at)", "difference"});
  return rights;
}

}  // namespace flotilla::payment
