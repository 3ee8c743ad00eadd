#include "payment/store/journal.h"

#include <utility>

#include "payment/store/one_by_one.h"

namespace flotilla::payment {

Journal::Journal(const postgres::Options& options)
    : transfers_({.name = "transfers", .max_batch = 16, .max_queue = 1024},
                 OneByOne<JournalStore, TransferQuery, std::vector<JournalEntry>>(
                     options, [](JournalStore& store, const TransferQuery& query) { return store.Transfers(query); })),
      statements_(
          {.name = "statement", .max_batch = 16, .max_queue = 1024},
          OneByOne<JournalStore, StatementQuery, std::optional<Statement>>(
              options, [](JournalStore& store, const StatementQuery& query) { return store.ReadStatement(query); })),
      trial_balances_({.name = "trial", .max_batch = 16, .max_queue = 64},
                      OneByOne<JournalStore, TrialQuery, std::vector<TrialLine>>(
                          options, [](JournalStore& store, const TrialQuery&) { return store.TrialBalance(); })),
      verifications_(
          {.name = "verify", .max_batch = 1, .max_queue = 16},
          OneByOne<JournalStore, VerifyQuery, Verification>(options, [](JournalStore& store, const VerifyQuery& query) {
            return store.Verify(query.after, query.anchor);
          })) {}

async::Task<absl::StatusOr<std::vector<JournalEntry>>> Journal::Transfers(TransferQuery query) {
  return transfers_.Call(std::move(query));
}

async::Task<absl::StatusOr<std::optional<Statement>>> Journal::ReadStatement(StatementQuery query) {
  return statements_.Call(std::move(query));
}

async::Task<absl::StatusOr<std::vector<TrialLine>>> Journal::TrialBalance() { return trial_balances_.Call({}); }

async::Task<absl::StatusOr<Verification>> Journal::Verify(std::int64_t after, Anchor anchor) {
  return verifications_.Call({after, std::move(anchor)});
}

}  // namespace flotilla::payment
