#include "payment/store/journal.h"

#include <memory>
#include <utility>

namespace flotilla::payment {
namespace {

// Reads have nothing to share: one after the other on a session of their own.
template <class Query, class Answer, class Read>
auto OneByOne(const postgres::Options& options, Read read) {
  return [options, read](int) {
    return [store = std::make_shared<JournalStore>(options), read](const std::vector<Query>& queries) {
      std::vector<absl::StatusOr<Answer>> answers;
      answers.reserve(queries.size());
      for (const Query& query : queries) answers.push_back(read(*store, query));
      return answers;
    };
  };
}

}  // namespace

Journal::Journal(const postgres::Options& options)
    : transfers_({.name = "transfers", .max_batch = 16, .max_queue = 1024},
                 OneByOne<TransferQuery, std::vector<JournalEntry>>(
                     options, [](JournalStore& store, const TransferQuery& query) { return store.Transfers(query); })),
      statements_(
          {.name = "statement", .max_batch = 16, .max_queue = 1024},
          OneByOne<StatementQuery, std::optional<Statement>>(
              options, [](JournalStore& store, const StatementQuery& query) { return store.ReadStatement(query); })),
      trial_balances_({.name = "trial", .max_batch = 16, .max_queue = 64},
                      OneByOne<TrialQuery, std::vector<TrialLine>>(
                          options, [](JournalStore& store, const TrialQuery&) { return store.TrialBalance(); })),
      verifications_({.name = "verify", .max_batch = 1, .max_queue = 16},
                     OneByOne<VerifyQuery, Verification>(options, [](JournalStore& store, const VerifyQuery& query) {
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
