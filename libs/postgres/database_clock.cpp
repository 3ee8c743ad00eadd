#include "postgres/database_clock.h"

#include <utility>

#include "async/steady_time.h"

namespace flotilla::postgres {
namespace {

const Statement kNow = {"clock_now", "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"};

// The first one also prepares the statement, and any may meet a busy moment: the quickest says most.
constexpr int kProbes = 3;

absl::Duration SinceSteadyZero() { return absl::FromChrono(async::SteadyNow().time_since_epoch()); }

}  // namespace

DatabaseClock::DatabaseClock(Options options, absl::Duration period)
    : session_(Named(std::move(options), "clock")), period_(period) {}

DatabaseClock::~DatabaseClock() {
  stop_.Set();
  if (thread_.joinable()) thread_.join();
}

absl::Status DatabaseClock::Start() {
  if (absl::Status status = Synchronize(); !status.ok()) return status;
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

absl::Time DatabaseClock::Now() const {
  return absl::FromUnixMicros(zero_us_.load(std::memory_order_relaxed)) + SinceSteadyZero();
}

absl::Status DatabaseClock::Synchronize() {
  return session_.Read([this](Transaction& transaction) {
    absl::Duration quickest = absl::InfiniteDuration();
    absl::Time zero;
    for (int probe = 0; probe < kProbes; ++probe) {
      const absl::Duration asked = SinceSteadyZero();
      const Rows rows = transaction.Run(kNow);
      const absl::Duration round_trip = SinceSteadyZero() - asked;
      if (round_trip >= quickest) continue;
      quickest = round_trip;
      zero = absl::FromUnixMicros(rows[0][0].as<std::int64_t>()) - asked - round_trip / 2;
    }
    zero_us_.store(absl::ToUnixMicros(zero), std::memory_order_relaxed);
    return absl::OkStatus();
  });
}

void DatabaseClock::Run() {
  // Where the server is away, the last answer holds.
  while (!stop_.WaitFor(period_)) Synchronize().IgnoreError();
}

}  // namespace flotilla::postgres
