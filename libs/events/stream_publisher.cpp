#include "events/stream_publisher.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "async/steady_time.h"
#include "failpoint/failpoint.h"

namespace flotilla::events {
namespace {

constexpr absl::Duration kAckTimeout = absl::Seconds(2);  // since the last ack

// {"stream":"FLOTILLA_ORDER","seq":17} or the same with "duplicate":true, which repeats the first one's number.
struct Ack {
  std::int64_t sequence = 0;
  bool duplicate = false;
};

Ack ParseAck(std::string_view text) {
  constexpr std::string_view kSequence = "\"seq\":";
  Ack ack{.duplicate = text.find("\"duplicate\"") != std::string_view::npos};
  if (const std::size_t at = text.find(kSequence); at != std::string_view::npos) {
    const std::size_t digits = text.find_first_not_of(' ', at + kSequence.size());
    if (digits != std::string_view::npos) {
      std::from_chars(text.data() + digits, text.data() + text.size(), ack.sequence);
    }
  }
  return ack;
}

}  // namespace

absl::Status StreamPublisher::Connect() {
  if (nats_ && natsConnection_IsClosed(nats_.get())) nats_.reset();
  if (!nats_) {
    acks_.reset();
    auto opened = ConnectNats(options_.nats, options_.name);
    if (!opened.ok()) return opened.status();
    nats_ = *std::move(opened);
    natsInbox* name = nullptr;
    natsStatus status = natsInbox_Create(&name);
    if (status == NATS_OK) {
      inbox_ = name;
      natsInbox_Destroy(name);
      natsSubscription* raw = nullptr;
      status = natsConnection_SubscribeSync(&raw, nats_.get(), (inbox_ + ".*").c_str());
      acks_.reset(raw);
      if (status == NATS_OK) status = natsSubscription_SetPendingLimits(raw, -1, -1);
    }
    if (status != NATS_OK) {
      acks_.reset();
      nats_.reset();
      return NatsError("subscribe", status);
    }
  }
  if (natsConnection_Status(nats_.get()) != NATS_CONN_STATUS_CONNECTED) {
    return NatsError("connection", NATS_CONNECTION_DISCONNECTED);
  }
  return absl::OkStatus();
}

absl::StatusOr<StreamMark> StreamPublisher::Find() {
  const auto js = OpenJetStream(nats_.get());
  if (!js.ok()) return js.status();
  jsStreamInfo* info = nullptr;
  jsErrCode error = static_cast<jsErrCode>(0);
  const natsStatus status = js_GetStreamInfo(&info, js->get(), options_.stream.c_str(), nullptr, &error);
  if (status == NATS_NOT_FOUND) return StreamMark{};
  if (status != NATS_OK) return NatsError("stream " + options_.stream, status, error);
  const StreamMark mark{.created = info->Created, .sequence = static_cast<std::int64_t>(info->State.LastSeq)};
  const absl::Status kept = KeepRetention(js->get(), *info->Config, options_.retention);
  jsStreamInfo_Destroy(info);
  if (!kept.ok()) return kept;
  return mark;
}

absl::StatusOr<StreamMark> StreamPublisher::Create() {
  const auto js = OpenJetStream(nats_.get());
  if (!js.ok()) return js.status();
  const absl::Status status = EnsureStream(js->get(), options_.stream, options_.subject, options_.retention);
  if (!status.ok()) return status;
  return Find();
}

// Where it breaks off between the two, the stream is gone, and is made as any that is missing.
absl::Status StreamPublisher::Renew() {
  const auto js = OpenJetStream(nats_.get());
  if (!js.ok()) return js.status();
  jsStreamInfo* info = nullptr;
  jsErrCode error = static_cast<jsErrCode>(0);
  natsStatus status = js_GetStreamInfo(&info, js->get(), options_.stream.c_str(), nullptr, &error);
  if (status == NATS_OK) status = js_DeleteStream(js->get(), options_.stream.c_str(), nullptr, &error);
  if (status == NATS_OK) status = js_AddStream(nullptr, js->get(), info->Config, nullptr, &error);
  jsStreamInfo_Destroy(info);
  if (status == NATS_OK || status == NATS_NOT_FOUND) return absl::OkStatus();
  return NatsError("stream " + options_.stream, status, error);
}

absl::Status StreamPublisher::Publish(std::span<const Message> messages, StreamMark& mark) {
  if (absl::Status status = FLOTILLA_FAILPOINT("nats.publish.before"); !status.ok()) return status;
  ++generation_;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const absl::Status status = Send(messages[i], absl::StrCat(inbox_, ".", generation_, "-", i));
    if (!status.ok()) return status;
  }
  StreamMark acked = mark;
  absl::Status status = CollectAcks(messages.size(), acked);
  if (status.ok()) status = FLOTILLA_FAILPOINT("nats.publish.after");
  if (status.ok()) mark = acked;
  return status;
}

absl::Status StreamPublisher::Send(const Message& message, const std::string& reply) {
  natsMsg* raw = nullptr;
  natsStatus status = natsMsg_Create(&raw, options_.subject.c_str(), reply.c_str(), message.data.data(),
                                     static_cast<int>(message.data.size()));
  const NatsMessage owner(raw);
  if (status == NATS_OK) status = natsMsgHeader_Set(raw, "Nats-Msg-Id", message.id.c_str());
  for (const auto& [name, value] : message.headers) {
    if (status == NATS_OK) status = natsMsgHeader_Set(raw, name, value.c_str());
  }
  if (status == NATS_OK) status = natsConnection_PublishMsg(nats_.get(), raw);
  return status == NATS_OK ? absl::OkStatus() : NatsError("publish", status);
}

absl::Status StreamPublisher::CollectAcks(std::size_t count, StreamMark& mark) {
  std::vector<bool> acked(count);
  std::size_t missing = count;
  std::int64_t last = mark.sequence;
  async::SteadyTime deadline = async::After(kAckTimeout);
  while (missing > 0) {
    natsMsg* raw = nullptr;
    const natsStatus status = natsSubscription_NextMsg(&raw, acks_.get(), 50);
    const NatsMessage message(raw);
    if (status == NATS_TIMEOUT) {
      if (natsConnection_Status(nats_.get()) != NATS_CONN_STATUS_CONNECTED) {
        return NatsError("acks", NATS_CONNECTION_DISCONNECTED);
      }
      if (async::SteadyNow() > deadline) return NatsError("acks", NATS_TIMEOUT);
      continue;
    }
    if (status != NATS_OK) {
      acks_.reset();
      nats_.reset();
      return NatsError("acks", status);
    }
    const std::string_view token = std::string_view(natsMsg_GetSubject(raw)).substr(inbox_.size() + 1);
    const char* const begin = token.data();
    const char* const end = begin + token.size();
    std::uint64_t batch = 0;
    std::size_t index = 0;
    const auto first = std::from_chars(begin, end, batch);
    if (batch != generation_ || first.ptr == end) continue;  // a late ack of an earlier try
    std::from_chars(first.ptr + 1, end, index);
    if (index >= count || acked[index]) continue;
    // Nobody listens: the stream is gone.
    if (natsMsg_IsNoResponders(raw)) return NatsError("stream " + options_.stream, NATS_NO_RESPONDERS);
    const std::string_view reply(natsMsg_GetData(raw), static_cast<std::size_t>(natsMsg_GetDataLength(raw)));
    if (reply.find("\"error\"") != std::string_view::npos) {
      return absl::UnavailableError("nats: publish refused: " + std::string(reply));
    }
    const Ack ack = ParseAck(reply);
    if (!ack.duplicate && ack.sequence <= mark.sequence) {
      return absl::DataLossError(
          absl::StrCat("nats: stream ", options_.stream, " went back from ", mark.sequence, " to ", ack.sequence));
    }
    last = std::max(last, ack.sequence);
    acked[index] = true;
    --missing;
    deadline = async::After(kAckTimeout);
  }
  mark.sequence = last;
  return absl::OkStatus();
}

}  // namespace flotilla::events
