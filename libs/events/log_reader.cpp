#include "events/log_reader.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "postgres/connection.h"

namespace flotilla::events {
namespace {

#define EVENT_COLUMNS                                                          \
  "e.xid, e.position, e.stream_id, e.sequence, e.type, e.data, e.traceparent," \
  " (extract(epoch FROM e.occurred_at) * 1000000)::bigint AS occurred_at"

// What the old snapshot did not see: transactions that began after it, and those it found in progress.
constexpr char kReadNew[] = "(SELECT " EVENT_COLUMNS
                            ", pg_current_snapshot() AS snapshot FROM event e WHERE xid >= $1::xid8"
                            " ORDER BY xid LIMIT $3) UNION ALL (SELECT " EVENT_COLUMNS
                            ", pg_current_snapshot() FROM event e WHERE xid = ANY ($2::xid8[]))";
constexpr char kReadBacklog[] = "SELECT " EVENT_COLUMNS
                                " FROM event e WHERE (xid, position) > ($1::xid8, $2::bigint)"
                                " AND NOT pg_visible_in_snapshot(xid, $3::pg_snapshot)"
                                " AND pg_visible_in_snapshot(xid, $4::pg_snapshot) ORDER BY xid, position LIMIT $5";
constexpr char kReadRange[] = "SELECT " EVENT_COLUMNS
                              " FROM event e WHERE (xid, position) > ($1::xid8, $2::bigint) AND xid <= $3::xid8"
                              " AND appended_at >= $4::timestamptz AND appended_at < $5::timestamptz"
                              " ORDER BY xid, position LIMIT $6";
constexpr char kReadStream[] =
    "SELECT " EVENT_COLUMNS " FROM event e WHERE stream_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3";
// LIMIT keeps the inner query one of single rows, whatever the planner thinks of the tables' sizes.
constexpr char kReadAhead[] =
    "SELECT " EVENT_COLUMNS
    " FROM unnest($1::text[], $2::bigint[]) AS w(stream_id, sequence), LATERAL (SELECT * FROM event x"
    " WHERE x.stream_id = w.stream_id AND x.sequence = w.sequence LIMIT 1) AS e"
    " WHERE (e.xid, e.position) > ($3::xid8, $4::bigint) AND NOT pg_visible_in_snapshot(e.xid, $5::pg_snapshot)"
    " AND pg_visible_in_snapshot(e.xid, $6::pg_snapshot)";
#undef EVENT_COLUMNS
constexpr char kReadTime[] =
    "SELECT xid, (extract(epoch FROM appended_at) * 1000000)::bigint FROM event WHERE xid > $1::xid8"
    " ORDER BY xid LIMIT 1";
constexpr char kReadFirst[] =
    "SELECT xid, position FROM event WHERE xid >= $1::xid8 AND NOT pg_visible_in_snapshot(xid, $2::pg_snapshot)"
    " ORDER BY xid, position LIMIT 1";
constexpr char kReadLast[] = "SELECT xid FROM event ORDER BY xid DESC LIMIT 1";
constexpr char kReadPosition[] =
    "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('event', 'position')::regclass), 0)";

std::string_view View(const pqxx::field& field) { return {field.c_str(), field.size()}; }

std::uint64_t Xid(std::string_view text) {
  std::uint64_t xid = 0;
  std::from_chars(text.data(), text.data() + text.size(), xid);
  return xid;
}

std::string Time(absl::Time time) { return absl::FormatTime("%Y-%m-%d %H:%M:%E6S+00", time, absl::UTCTimeZone()); }

Row RowOf(const pqxx::row& row) {
  return {.place = {Xid(View(row[0])), row[1].as<std::int64_t>()},
          .event = {.stream_id = row[2].c_str(),
                    .sequence = row[3].as<std::int64_t>(),
                    .type = row[4].c_str(),
                    .data = postgres::FromBytes(View(row[5])),
                    .traceparent = row[6].c_str(),
                    .occurred_at = absl::FromUnixMicros(row[7].as<std::int64_t>())}};
}

void AddRows(const pqxx::result& result, std::vector<Row>& rows) {
  rows.reserve(rows.size() + result.size());
  for (const pqxx::row& row : result) rows.push_back(RowOf(row));
}

void Sort(std::vector<Row>& rows) {
  std::ranges::sort(rows, {}, [](const Row& row) { return row.place.position; });
}

}  // namespace

Snapshot::Snapshot(std::string t) : text(std::move(t)) {
  const std::size_t first = text.find(':');
  const std::size_t second = text.find(':', first + 1);
  xmin = Xid(text);
  xmax = text.substr(first + 1, second - first - 1);
  in_progress = "{" + text.substr(second + 1) + "}";
}

LogReader::LogReader(pqxx::connection& connection) : connection_(connection) {
  // A plan for each set of values would cost more than the reading.
  pqxx::nontransaction(connection).exec("SET plan_cache_mode = force_generic_plan");
  connection.prepare("read_new", kReadNew);
  connection.prepare("read_backlog", kReadBacklog);
  connection.prepare("read_range", kReadRange);
  connection.prepare("read_stream", kReadStream);
  connection.prepare("read_ahead", kReadAhead);
  connection.prepare("read_time", kReadTime);
}

LogReader::News LogReader::ReadNew(const Snapshot& seen, std::size_t limit) {
  const pqxx::result result = Run("read_new", seen.xmax, seen.in_progress, limit);
  News news{.rows = {}, .snapshot = "", .complete = result.size() < limit};
  if (!result.empty()) news.snapshot = result[0]["snapshot"].c_str();
  AddRows(result, news.rows);
  Sort(news.rows);
  return news;
}

LogReader::Backlog LogReader::ReadBacklog(const Snapshot& seen, const std::string& upto, const Progress& progress,
                                          std::size_t limit) {
  const Place& after = progress.after;
  return Finish(Run("read_backlog", after.xid, after.position, seen.text, upto, limit), progress, limit, seen, upto);
}

LogReader::Backlog LogReader::ReadRange(const Range& range, const Progress& progress, std::size_t limit) {
  const Place& after = progress.after;
  return Finish(Run("read_range", after.xid, after.position, range.last_xid, Time(range.from), Time(range.to), limit),
                progress, limit, Snapshot(), Now());
}

LogReader::Backlog LogReader::Finish(const pqxx::result& result, const Progress& progress, std::size_t limit,
                                     const Snapshot& seen, const std::string& upto) {
  Backlog backlog{.rows = {}, .next = progress, .end = result.size() < limit};
  AddRows(result, backlog.rows);
  if (backlog.rows.empty()) return backlog;
  backlog.next.after = backlog.rows.back().place;
  std::erase_if(backlog.rows, [&](const Row& row) { return backlog.next.ahead.erase(row.place) > 0; });
  if (!backlog.end) FetchAhead(backlog, seen, upto);
  Sort(backlog.rows);
  return backlog;
}

void LogReader::FetchAhead(Backlog& backlog, const Snapshot& seen, const std::string& upto) {
  std::vector<Row>& rows = backlog.rows;
  std::set<std::pair<std::string, std::int64_t>> have;
  for (std::size_t first = 0; first < rows.size();) {
    const std::span<const Row> fresh = std::span(rows).subspan(first);
    for (const Row& row : fresh) have.emplace(row.event.stream_id, row.event.sequence);
    std::vector<std::string> streams;
    std::vector<std::int64_t> sequences;
    for (const Row& row : fresh) {
      if (have.contains({row.event.stream_id, row.event.sequence - 1})) continue;
      streams.push_back(row.event.stream_id);
      sequences.push_back(row.event.sequence - 1);
    }
    first = rows.size();
    AddRows(Run("read_ahead", postgres::Literal(streams), postgres::Literal(sequences), backlog.next.after.xid,
                backlog.next.after.position, seen.text, upto),
            rows);
    for (const Row& row : std::span(rows).subspan(first)) backlog.next.ahead.insert(row.place);
  }
}

std::vector<Row> LogReader::ReadStream(const std::string& stream_id, std::int64_t after, std::size_t limit) {
  std::vector<Row> rows;
  AddRows(Run("read_stream", stream_id, after, limit), rows);
  return rows;
}

std::uint64_t LogReader::LastBefore(absl::Time time) {
  const pqxx::result last = pqxx::nontransaction(connection_).exec(kReadLast);
  std::uint64_t low = 0;
  for (std::uint64_t high = last.empty() ? 0 : Xid(View(last[0][0])); low < high;) {
    const std::uint64_t middle = low + (high - low) / 2;
    const pqxx::result row = Run("read_time", middle);
    if (row.empty() || row[0][1].as<std::int64_t>() >= absl::ToUnixMicros(time)) {
      high = middle;
    } else {
      low = Xid(View(row[0][0]));
    }
  }
  return low;
}

std::optional<Place> LogReader::BeforeNew(const Snapshot& seen) {
  const pqxx::result first = pqxx::nontransaction(connection_).exec_params(kReadFirst, seen.xmin, seen.text);
  if (first.empty()) return std::nullopt;
  return Place{Xid(View(first[0][0])), first[0][1].as<std::int64_t>() - 1};
}

std::string LogReader::Now() {
  return pqxx::nontransaction(connection_).exec1("SELECT pg_current_snapshot()")[0].c_str();
}

std::int64_t LogReader::LastPosition() {
  return pqxx::nontransaction(connection_).exec1(kReadPosition)[0].as<std::int64_t>();
}

}  // namespace flotilla::events
