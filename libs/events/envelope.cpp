#include "events/envelope.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "flotilla/event/v1/event_batch.pb.h"
#include "timestamp/timestamp.h"

namespace flotilla::events {
namespace {

// Of one message: well below what NATS takes (1 MiB), and few enough to be tried one by one.
constexpr std::size_t kMaxTogether = 64;
constexpr std::size_t kMaxBytes = 256 << 10;

constexpr char kType[] = "Flotilla-Type";
constexpr char kStreamId[] = "Flotilla-Stream-Id";
constexpr char kSequence[] = "Flotilla-Sequence";
constexpr char kOccurredAt[] = "Flotilla-Occurred-At";  // microseconds since the epoch
constexpr char kTraceparent[] = "traceparent";
constexpr char kEvents[] = "Flotilla-Events";  // how many; absent: one, in the headers above

Message Alone(const Event& event) {
  Message message{.id = "",
                  .data = event.data,
                  .headers = {{kStreamId, event.stream_id},
                              {kSequence, absl::StrCat(event.sequence)},
                              {kType, event.type},
                              {kOccurredAt, absl::StrCat(absl::ToUnixMicros(event.occurred_at))}}};
  if (!event.traceparent.empty()) message.headers.emplace_back(kTraceparent, event.traceparent);
  return message;
}

Message Together(std::span<const Row> rows) {
  event::v1::EventBatch batch;
  for (const auto& [place, event] : rows) {
    event::v1::LoggedEvent* logged = batch.add_events();
    logged->set_stream_id(event.stream_id);
    logged->set_sequence(event.sequence);
    logged->set_type(event.type);
    logged->set_data(event.data);
    logged->set_traceparent(event.traceparent);
    *logged->mutable_occur_time() = timestamp::ToProto(event.occurred_at);
  }
  return {.id = "", .data = batch.SerializeAsString(), .headers = {{kEvents, absl::StrCat(rows.size())}}};
}

const char* Header(natsMsg* message, const char* name) {
  const char* value = nullptr;
  return natsMsgHeader_Get(message, name, &value) == NATS_OK && value != nullptr ? value : "";
}

std::int64_t Number(std::string_view text) {
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

std::vector<Message> Packer::Pack(std::span<const Row> rows) {
  std::vector<Message> messages;
  while (!rows.empty()) {
    std::size_t count = 1;
    for (std::size_t bytes = rows[0].event.data.size(); count < std::min(rows.size(), kMaxTogether); ++count) {
      bytes += rows[count].event.data.size();
      if (bytes > kMaxBytes) break;
    }
    messages.push_back(count == 1 ? Alone(rows[0].event) : Together(rows.first(count)));
    messages.back().id = count == 1 ? alone_ + rows[0].event.id() : absl::StrCat(together_, ++number_);
    rows = rows.subspan(count);
  }
  return messages;
}

void Unpack(natsMsg* message, std::vector<Event>& events) {
  const std::string_view data(natsMsg_GetData(message), static_cast<std::size_t>(natsMsg_GetDataLength(message)));
  const std::int64_t count = Number(Header(message, kEvents));
  if (count == 0) {
    events.push_back({.stream_id = Header(message, kStreamId),
                      .sequence = Number(Header(message, kSequence)),
                      .type = Header(message, kType),
                      .data = std::string(data),
                      .traceparent = Header(message, kTraceparent),
                      .occurred_at = absl::FromUnixMicros(Number(Header(message, kOccurredAt)))});
    return;
  }
  event::v1::EventBatch batch;
  if (!batch.ParseFromArray(data.data(), static_cast<int>(data.size())) || batch.events_size() != count) {
    events.push_back({.stream_id = "", .type = "", .data = std::string(data), .occurred_at = absl::UnixEpoch()});
    return;
  }
  for (event::v1::LoggedEvent& logged : *batch.mutable_events()) {
    events.push_back({.stream_id = std::move(*logged.mutable_stream_id()),
                      .sequence = logged.sequence(),
                      .type = std::move(*logged.mutable_type()),
                      .data = std::move(*logged.mutable_data()),
                      .traceparent = std::move(*logged.mutable_traceparent()),
                      .occurred_at = timestamp::FromProto(logged.occur_time())});
  }
}

}  // namespace flotilla::events
