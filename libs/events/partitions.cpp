#include "events/partitions.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace flotilla::events {
namespace {

constexpr postgres::Statement kSetPolicy{
    "event_set_policy",
    "UPDATE event_policy SET period = $1::bigint * interval '1 second', retention = $2::bigint * interval '1 second'"};
constexpr postgres::Statement kMake{"event_make_parts", "SELECT event_make_parts()"};
constexpr postgres::Statement kDrop{"event_drop_parts", "SELECT event_drop_parts()"};

constexpr postgres::Statement kWithoutPart{"event_rows_without_part", "SELECT event_rows_without_part()"};

// What the statement counts; nothing where it fails.
std::optional<std::int64_t> Count(postgres::Session& session, const postgres::Statement& statement, const char* fault) {
  std::int64_t count = 0;
  const absl::Status status = session.Transact([&](postgres::Transaction& transaction) {
    count = transaction.Run(statement)[0][0].as<std::int64_t>();
    return absl::OkStatus();
  });
  if (status.ok()) return count;
  telemetry::Warning(fault, {{"error", std::string(status.message())}});
  return std::nullopt;
}

}  // namespace

absl::Status SetLogPolicy(const postgres::Options& owner, const LogPolicy& policy) {
  if (policy.period < absl::Minutes(1)) return absl::InvalidArgumentError("a part's period must be 1 min or more");
  if (policy.retention < policy.period) return absl::InvalidArgumentError("the retention must be a period or more");
  return postgres::Session(owner).Transact([&](postgres::Transaction& transaction) {
    transaction.Run(kSetPolicy, absl::ToInt64Seconds(policy.period), absl::ToInt64Seconds(policy.retention));
    return absl::OkStatus();
  });
}

PartKeeper::PartKeeper(postgres::Options postgres, absl::Duration every)
    : session_(Named(std::move(postgres), "parts")), every_(every), thread_([this] { Run(); }) {}

PartKeeper::~PartKeeper() {
  stop_.Set();
  thread_.join();
}

void PartKeeper::Run() {
  auto& made = telemetry::Counter("flotilla_event_parts_made_total", "Parts of the event log made.");
  auto& dropped = telemetry::Counter("flotilla_event_parts_dropped_total", "Old parts of the event log dropped.");
  auto& failed = telemetry::Counter("flotilla_event_parts_failed_total", "Times the next parts could not be made.");
  auto& waiting = telemetry::Gauge("flotilla_event_rows_without_part",
                                   "Rows of the event log whose part is missing; counted to 1,000.");
  do {
    // Each in its own transaction: where a long reader hinders dropping, making goes on.
    const auto more = Count(session_, kMake, "events: cannot make the log's next parts");
    if (more.has_value()) {
      made.Increment(static_cast<double>(*more));
    } else {
      failed.Increment();
    }
    const auto rows = Count(session_, kWithoutPart, "events: cannot look for rows without a part");
    if (rows.has_value()) waiting.Set(static_cast<double>(*rows));
    const std::int64_t gone = Count(session_, kDrop, "events: cannot drop the log's old parts now").value_or(0);
    if (gone == 0) continue;
    dropped.Increment(static_cast<double>(gone));
    telemetry::Info("events: old parts of the log dropped", {{"parts", absl::StrCat(gone)}});
  } while (!stop_.WaitFor(every_));
}

}  // namespace flotilla::events
