#include "events/replay.h"

#include <algorithm>
#include <functional>
#include <pqxx/pqxx>
#include <span>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "events/envelope.h"
#include "events/log_reader.h"
#include "events/stream_publisher.h"
#include "postgres/connection.h"
#include "telemetry/log.h"

namespace flotilla::events {
namespace {

constexpr std::size_t kBatch = 512;
// Transactions are looked up by the time of their first event; they overlap by less than this.
constexpr absl::Duration kOverlap = absl::Minutes(1);

constexpr char kBegin[] =
    "INSERT INTO event_replay (operator, note, stream_id, from_time, to_time) VALUES ($1, $2, $3,"
    " timestamptz 'epoch' + $4::bigint * interval '1 microsecond',"
    " timestamptz 'epoch' + $5::bigint * interval '1 microsecond') RETURNING replay_id";
constexpr char kEnd[] = "UPDATE event_replay SET published = $2, ended_at = now() WHERE replay_id = $1";
constexpr char kList[] =
    "SELECT replay_id, operator, note, stream_id, (extract(epoch FROM from_time) * 1000000)::bigint,"
    " (extract(epoch FROM to_time) * 1000000)::bigint, (extract(epoch FROM started_at) * 1000000)::bigint,"
    " coalesce((extract(epoch FROM ended_at) * 1000000)::bigint, -1), published"
    " FROM event_replay WHERE $1::bigint = 0 OR replay_id < $1 ORDER BY replay_id DESC LIMIT $2";

// Reads a range piece by piece.
class Source {
 public:
  Source(pqxx::connection& connection, const ReplayRequest& request, Place after)
      : reader_(connection),
        request_(request),
        range_{.from = request.from, .to = request.to, .last_xid = reader_.LastBefore(request.to + kOverlap)},
        progress_{.after = std::max(after, Place{.xid = reader_.LastBefore(request.from - kOverlap)}), .ahead = {}} {}

  // Empty at the end.
  std::vector<Row> Next(std::size_t limit) {
    if (!request_.stream_id.empty()) {
      std::vector<Row> rows = reader_.ReadStream(request_.stream_id, progress_.after.position, limit);
      if (rows.size() < limit) end_ = true;
      if (!rows.empty()) progress_.after.position = rows.back().event.sequence;
      return rows;
    }
    LogReader::Backlog backlog = reader_.ReadRange(range_, progress_, limit);
    progress_ = std::move(backlog.next);
    end_ = backlog.end;
    return std::move(backlog.rows);
  }
  bool end() const { return end_; }
  std::string place() const { return absl::StrCat(progress_.after.xid, ".", progress_.after.position); }

 private:
  LogReader reader_;
  const ReplayRequest& request_;
  const LogReader::Range range_;
  LogReader::Progress progress_;
  bool end_ = false;
};

absl::StatusOr<Place> Parse(const std::string& after) {
  Place place;
  if (after.empty()) return place;
  const std::vector<std::string> parts = absl::StrSplit(after, '.');
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &place.xid) || !absl::SimpleAtoi(parts[1], &place.position)) {
    return absl::InvalidArgumentError("no place in the log");
  }
  return place;
}

absl::Status Publish(Source& source, StreamPublisher& publisher, std::size_t limit, Replay& replay) {
  StreamMark mark;
  const std::string ids = absl::StrCat("replay/", replay.replay_id, "/");
  Packer packer(ids, ids);
  for (std::size_t left = limit; left > 0 && !source.end();) {
    const std::vector<Row> rows = source.Next(std::min(left, kBatch));
    const std::vector<Message> messages = packer.Pack(rows);
    if (absl::Status status = publisher.Connect(); !status.ok()) return status;
    if (absl::Status status = publisher.Publish(messages, mark); !status.ok()) return status;
    replay.published += static_cast<std::int64_t>(rows.size());
    left -= std::min(left, rows.size());
  }
  if (!source.end()) replay.next = source.place();
  return absl::OkStatus();
}

absl::Status Guarded(const std::function<absl::Status()>& work) {
  try {
    return work();
  } catch (const pqxx::sql_error& error) {
    return absl::UnavailableError(postgres::Describe(error));
  } catch (const std::exception& error) {
    return absl::UnavailableError(postgres::FirstLine(error.what()));
  }
}

}  // namespace

absl::StatusOr<Replay> Replayer::Run(const ReplayRequest& request) {
  const absl::StatusOr<Place> after = Parse(request.after);
  if (!after.ok()) return after.status();
  Replay replay;
  const absl::Status status = Guarded([&] {
    const auto connection = postgres::Connect(Named(options_.postgres, "replay"));
    replay.replay_id = pqxx::nontransaction(*connection)
                           .exec_params1(kBegin, request.user, request.note, request.stream_id,
                                         absl::ToUnixMicros(request.from), absl::ToUnixMicros(request.to))[0]
                           .as<std::int64_t>();
    telemetry::Warning("operator's act: events are published again",
                       {{"replay_id", absl::StrCat(replay.replay_id)},
                        {"user", request.user},
                        {"stream_id", request.stream_id},
                        {"from", absl::FormatTime(request.from, absl::UTCTimeZone())},
                        {"to", absl::FormatTime(request.to, absl::UTCTimeZone())},
                        {"note", request.note}});
    Source source(*connection, request, *after);
    StreamPublisher publisher({.nats = options_.nats,
                               .name = "replay " + options_.stream,
                               .stream = options_.stream,
                               .subject = options_.subject,
                               .retention = {}});
    const absl::Status published = Publish(source, publisher, request.limit, replay);
    pqxx::nontransaction(*connection).exec_params0(kEnd, replay.replay_id, replay.published);
    return published;
  });
  telemetry::Warning("operator's act: events were published again", {{"replay_id", absl::StrCat(replay.replay_id)},
                                                                     {"events", absl::StrCat(replay.published)},
                                                                     {"result", status.ToString()}});
  if (!status.ok()) return status;
  return replay;
}

absl::StatusOr<std::vector<ReplayRecord>> Replayer::List(std::int64_t before, std::size_t limit) {
  std::vector<ReplayRecord> records;
  const absl::Status status = Guarded([&] {
    const auto connection = postgres::Connect(Named(options_.postgres, "replay"));
    for (const auto& row : pqxx::nontransaction(*connection).exec_params(kList, before, limit)) {
      const auto ended = row[7].as<std::int64_t>();
      records.push_back({.replay_id = row[0].as<std::int64_t>(),
                         .user = row[1].c_str(),
                         .note = row[2].c_str(),
                         .stream_id = row[3].c_str(),
                         .from = absl::FromUnixMicros(row[4].as<std::int64_t>()),
                         .to = absl::FromUnixMicros(row[5].as<std::int64_t>()),
                         .started_at = absl::FromUnixMicros(row[6].as<std::int64_t>()),
                         .ended_at = ended < 0 ? absl::InfiniteFuture() : absl::FromUnixMicros(ended),
                         .published = row[8].as<std::int64_t>()});
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return records;
}

}  // namespace flotilla::events
