// Background work on a thread of its own, in every instance: ends authorizations and waits whose time has run out, and
// extends the journal's hash chain. Instances share the work through the database.
#pragma once

#include <functional>
#include <thread>

#include "absl/time/time.h"
#include "async/stop_signal.h"
#include "payment/store/action_store.h"
#include "payment/store/journal_store.h"
#include "postgres/database_clock.h"
#include "prometheus/counter.h"

namespace flotilla::payment {

class Keeper {
 public:
  struct Options {
    postgres::Options postgres;
    std::function<void(const std::vector<Work::Told>&)> told = {};  // as in Ledger::Options
    absl::Duration period = absl::Milliseconds(500);
  };
  // `clock`, by which time runs out, outlives the keeper.
  Keeper(Options options, const postgres::DatabaseClock& clock);
  ~Keeper();  // stops and joins

 private:
  void Run();
  void Expire();
  void ExtendChain();
  // False where the database is away: tried again next time.
  bool Act(const std::vector<Action>& actions);

  const Options options_;
  const postgres::DatabaseClock& clock_;
  ActionStore actions_;
  JournalStore journal_;
  prometheus::Counter& expired_;
  prometheus::Counter& chained_;
  async::StopSignal stop_;
  std::thread thread_;  // last: uses all of the above
};

}  // namespace flotilla::payment
