// The database server's time, for deadlines that one instance sets and another judges: machines' clocks may be minutes
// apart. All database servers of a fleet are assumed to be synchronised (NTP), as services share deadlines, but not
// databases. The machine's own calendar clock plays no part, whatever it says and whenever it is set.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "async/stop_signal.h"
#include "postgres/session.h"

namespace flotilla::postgres {

// Asks the server every `period`, on a thread and a connection of its own; in between the steady clock goes on from
// the last answer. While the server is away it does so for as long as it takes: at the 100 ppm of a poor oscillator
// that is 0.4 s an hour.
class DatabaseClock {
 public:
  explicit DatabaseClock(Options options, absl::Duration period = absl::Seconds(30));
  ~DatabaseClock();  // stops and joins
  DatabaseClock(const DatabaseClock&) = delete;

  // Asks for the first time. May be repeated until it is OK. Errors as of Session::Read.
  absl::Status Start();

  // Once Start was OK; any thread, without a lock. Wrong by half a round trip at most, and may step by as much at a
  // synchronisation.
  absl::Time Now() const;

 private:
  absl::Status Synchronize();
  void Run();

  Session session_;
  const absl::Duration period_;
  std::atomic<std::int64_t> zero_us_ = 0;  // calendar time of the steady clock's zero
  async::StopSignal stop_;
  std::thread thread_;  // last: uses all of the above
};

}  // namespace flotilla::postgres
