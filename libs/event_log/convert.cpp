#include "event_log/convert.h"

#include "absl/strings/numbers.h"
#include "errors/errors.h"
#include "google/protobuf/util/time_util.h"
#include "timestamp/timestamp.h"
#include "validation/validation.h"

namespace flotilla::event_log {
namespace {

using google::protobuf::util::TimeUtil;

constexpr std::int32_t kMaxEvents = 100'000;
constexpr std::int32_t kDefaultEvents = 10'000;
constexpr std::size_t kMaxStream = 200;
constexpr std::size_t kMaxNoteBytes = 500;

absl::StatusOr<absl::Time> ParseTime(const google::protobuf::Timestamp& time, const char* field) {
  if (time.seconds() < 0 || time.seconds() > TimeUtil::kTimestampMaxSeconds || time.nanos() < 0 ||
      time.nanos() > 999'999'999) {
    return errors::InvalidField(field, "must be a time since 1970");
  }
  return timestamp::FromProto(time);
}

// PostgreSQL takes no such text.
bool HasNul(const std::string& text) { return text.find('\0') != std::string::npos; }

bool IsToken(const std::string& token) {
  const std::size_t dot = token.find('.');
  std::uint64_t number = 0;
  return token.empty() || (dot != std::string::npos && absl::SimpleAtoi(token.substr(0, dot), &number) &&
                           absl::SimpleAtoi(token.substr(dot + 1), &number));
}

}  // namespace

absl::StatusOr<events::ReplayRequest> Parse(const event::v1::ReplayEventsRequest& request, const std::string& user,
                                            absl::Time now) {
  events::ReplayRequest replay{.user = user,
                               .note = request.note(),
                               .stream_id = request.stream_id(),
                               .from = absl::UnixEpoch(),
                               .to = now,
                               .after = request.page_token(),
                               .limit = kDefaultEvents};
  if (absl::Status status = validation::CheckNote(replay.note, kMaxNoteBytes); !status.ok()) return status;
  if (replay.stream_id.size() > kMaxStream || HasNul(replay.stream_id)) {
    return errors::InvalidField("stream_id", "must be at most 200 bytes of text");
  }
  if (replay.stream_id.empty()) {
    if (!request.has_from_time()) {
      return errors::InvalidField("from_time", "must be set where there is no stream_id");
    }
    const absl::StatusOr<absl::Time> from = ParseTime(request.from_time(), "from_time");
    if (!from.ok()) return from.status();
    replay.from = *from;
    if (request.has_to_time()) {
      const absl::StatusOr<absl::Time> to = ParseTime(request.to_time(), "to_time");
      if (!to.ok()) return to.status();
      replay.to = *to;
    }
    if (replay.to <= replay.from) return errors::InvalidField("from_time", "must be before to_time and before now");
  }
  if (request.max_events() < 0 || request.max_events() > kMaxEvents) {
    return errors::InvalidField("max_events", "must be 1 to 100,000, or 0");
  }
  if (request.max_events() > 0) replay.limit = static_cast<std::size_t>(request.max_events());
  if (!IsToken(replay.after)) return validation::ForeignToken();
  return replay;
}

absl::StatusOr<std::int64_t> ParseToken(const event::v1::ListReplaysRequest& request) {
  std::int64_t before = 0;
  if (!request.page_token().empty() && (!absl::SimpleAtoi(request.page_token(), &before) || before < 1)) {
    return validation::ForeignToken();
  }
  return before;
}

void Fill(const events::ReplayRecord& record, event::v1::Replay* proto) {
  proto->set_replay_id(record.replay_id);
  proto->set_operator_(record.user);
  proto->set_note(record.note);
  proto->set_stream_id(record.stream_id);
  *proto->mutable_from_time() = timestamp::ToProto(record.from);
  *proto->mutable_to_time() = timestamp::ToProto(record.to);
  *proto->mutable_start_time() = timestamp::ToProto(record.started_at);
  if (record.ended_at != absl::InfiniteFuture()) *proto->mutable_end_time() = timestamp::ToProto(record.ended_at);
  proto->set_published(record.published);
}

}  // namespace flotilla::event_log
