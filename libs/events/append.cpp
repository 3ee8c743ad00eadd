#include <vector>

#include "events/log.h"
#include "events/migrations.h"

namespace flotilla::events {
namespace {

constexpr postgres::Statement kAppend{
    "events_append",
    "INSERT INTO event (stream_id, sequence, event_id, type, data, traceparent, occurred_at)"
    " SELECT s, n, s || '/' || n, t, d, p, timestamptz 'epoch' + o * interval '1 microsecond'"
    " FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bytea[], $5::text[], $6::bigint[]) AS e(s, n, t, d, p, o)"};

}  // namespace

std::span<const postgres::Migration> LogMigrations() { return Migrations(); }

postgres::Rights LogRights() {
  return {{"INSERT", "event, relay_cursor, event_replay"},
          {"UPDATE", "relay_cursor"},
          {"UPDATE (published, ended_at)", "event_replay"},
          {"EXECUTE", "FUNCTION event_make_parts(), event_drop_parts()"}};
}

void Append(postgres::Transaction& transaction, std::span<const Event> events) {
  if (events.empty()) return;
  std::vector<std::string_view> streams, types, datas, traceparents;
  std::vector<std::int64_t> sequences, times;
  streams.reserve(events.size());
  types.reserve(events.size());
  traceparents.reserve(events.size());
  sequences.reserve(events.size());
  times.reserve(events.size());
  datas.reserve(events.size());
  for (const Event& event : events) {
    streams.push_back(event.stream_id);
    sequences.push_back(event.sequence);
    types.push_back(event.type);
    datas.push_back(event.data);
    traceparents.push_back(event.traceparent);
    times.push_back(absl::ToUnixMicros(event.occurred_at));
  }
  transaction.Defer(kAppend, postgres::Array(streams), postgres::Array(sequences), postgres::Array(types),
                    postgres::ByteArray(datas), postgres::Array(traceparents), postgres::Array(times));
}

}  // namespace flotilla::events
