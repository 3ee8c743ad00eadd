#include <algorithm>
#include <charconv>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "async/stop_signal.h"
#include "events/log.h"
#include "events/nats_client.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace flotilla::events {
namespace {

constexpr std::int64_t kNanosPerMilli = 1'000'000;
constexpr std::int64_t kAckWaitMs = 30'000;
constexpr std::int64_t kFetchMs = 250;  // also how long a stop may take
constexpr absl::Duration kCheckInterval = absl::Seconds(1);
constexpr absl::Duration kReconnectWait = absl::Milliseconds(250);
constexpr absl::Duration kMinBackoff = absl::Milliseconds(20);
constexpr absl::Duration kMaxBackoff = absl::Seconds(5);

class Messages {
 public:
  Messages() = default;
  Messages(const Messages&) = delete;
  ~Messages() { natsMsgList_Destroy(&list); }
  std::span<natsMsg*> span() const { return {list.Msgs, static_cast<std::size_t>(list.Count)}; }
  natsMsgList list{nullptr, 0};
};

const char* Header(natsMsg* message, const char* name) {
  const char* value = nullptr;
  return natsMsgHeader_Get(message, name, &value) == NATS_OK && value != nullptr ? value : "";
}

std::int64_t Number(std::string_view text) {
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

Event Parse(natsMsg* message) {
  return {.stream_id = Header(message, kStreamIdHeader),
          .sequence = Number(Header(message, kSequenceHeader)),
          .type = Header(message, kTypeHeader),
          .data = std::string(natsMsg_GetData(message), static_cast<std::size_t>(natsMsg_GetDataLength(message))),
          .traceparent = Header(message, kTraceparentHeader),
          .occurred_at = absl::FromUnixMicros(Number(Header(message, kOccurredAtHeader)))};
}

}  // namespace

struct Consumer::Impl {
  Impl(ConsumerOptions o, std::function<absl::Status(std::span<const Event>)> a)
      : options(std::move(o)), apply(std::move(a)), batch_limit(options.max_batch) {
    thread = std::thread([this] { Run(); });
  }

  ~Impl() {
    stop.Set();
    thread.join();
  }

  void Run() {
    bool failing = false;
    while (!stop.IsSet()) {
      absl::Status status = subscription ? absl::OkStatus() : Subscribe();
      if (status.ok()) status = FetchAndApply();
      if (status.ok()) {
        failing = false;
        continue;
      }
      if (!failing) {
        telemetry::Warning("consumer: cannot receive",
                           {{"consumer", options.durable}, {"error", std::string(status.message())}});
      }
      failing = true;
      subscription.reset();
      js.reset();
      stop.WaitFor(kReconnectWait);
    }
    // What was acknowledged last should reach the server.
    if (nats) natsConnection_FlushTimeout(nats.get(), 500);
  }

  absl::Status Subscribe() {
    if (nats && natsConnection_IsClosed(nats.get())) nats.reset();
    if (!nats) {
      auto opened = ConnectNats(options.nats, options.durable);
      if (!opened.ok()) return opened.status();
      nats = *std::move(opened);
    }
    if (natsConnection_Status(nats.get()) != NATS_CONN_STATUS_CONNECTED) {
      return NatsError("connection", NATS_CONNECTION_DISCONNECTED);
    }
    auto context = OpenJetStream(nats.get());
    if (!context.ok()) return context.status();
    js = *std::move(context);
    if (absl::Status status = EnsureStream(js.get(), options.stream, options.subject); !status.ok()) return status;

    jsConsumerConfig config;
    jsConsumerConfig_Init(&config);
    config.Durable = options.durable.c_str();
    config.FilterSubject = options.subject.c_str();
    config.DeliverPolicy = js_DeliverAll;
    config.AckPolicy = js_AckExplicit;
    config.AckWait = kAckWaitMs * kNanosPerMilli;
    // For several instances with a batch in hand each.
    config.MaxAckPending = std::max(4096, 16 * options.max_batch);
    jsErrCode error = static_cast<jsErrCode>(0);
    natsStatus status = js_AddConsumer(nullptr, js.get(), options.stream.c_str(), &config, nullptr, &error);
    if (status != NATS_OK) return NatsError("consumer " + options.durable, status, error);

    jsSubOptions bind;
    jsSubOptions_Init(&bind);
    bind.Stream = options.stream.c_str();
    bind.Consumer = options.durable.c_str();
    natsSubscription* raw = nullptr;
    status = js_PullSubscribe(&raw, js.get(), options.subject.c_str(), options.durable.c_str(), nullptr, &bind, &error);
    if (status != NATS_OK) return NatsError("subscribe " + options.durable, status, error);
    subscription.reset(raw);
    natsSubscription_SetPendingLimits(raw, -1, -1);
    return absl::OkStatus();
  }

  // no_wait with an expiry: the server waits for the first message, then sends what there is, at once.
  natsStatus Fetch(Messages& messages, int batch, bool no_wait) {
    jsFetchRequest request;
    jsFetchRequest_Init(&request);
    request.Batch = batch;
    request.NoWait = no_wait;
    request.Expires = kFetchMs * kNanosPerMilli;
    return natsSubscription_FetchRequest(&messages.list, subscription.get(), &request);
  }

  // A fetch from a consumer that no longer exists (NATS lost its data) merely times out, so ask while there is nothing
  // to do. While the connection is away nats.c reconnects by itself.
  absl::Status CheckConsumer() {
    if (absl::Now() < next_check || natsConnection_Status(nats.get()) != NATS_CONN_STATUS_CONNECTED) {
      return absl::OkStatus();
    }
    next_check = absl::Now() + kCheckInterval;
    jsConsumerInfo* info = nullptr;
    jsErrCode error = static_cast<jsErrCode>(0);
    const natsStatus status =
        js_GetConsumerInfo(&info, js.get(), options.stream.c_str(), options.durable.c_str(), nullptr, &error);
    jsConsumerInfo_Destroy(info);
    if (status == NATS_OK || status == NATS_TIMEOUT) return absl::OkStatus();
    return NatsError("consumer " + options.durable, status, error);
  }

  absl::Status FetchAndApply() {
    Messages messages;
    const absl::Time started = absl::Now();
    natsStatus status = Fetch(messages, batch_limit, true);
    if (status == NATS_TIMEOUT && absl::Now() - started < absl::Milliseconds(kFetchMs / 2) && !stop.IsSet()) {
      // A server that answers no_wait at once even so: wait for one message in the plain way.
      status = Fetch(messages, 1, false);
    }
    if (status == NATS_TIMEOUT) return CheckConsumer();
    if (status != NATS_OK) return NatsError("fetch", status);

    std::vector<Event> events;
    events.reserve(messages.span().size());
    for (natsMsg* message : messages.span()) events.push_back(Parse(message));
    absl::Status applied;
    try {
      applied = apply(events);
    } catch (const std::exception& error) {
      applied = absl::InternalError(error.what());
    }
    if (applied.ok()) {
      for (natsMsg* message : messages.span()) natsMsg_Ack(message, nullptr);
      consumed.Increment(static_cast<double>(events.size()));
      batch_limit = std::min(options.max_batch, 2 * batch_limit);
      backoff = kMinBackoff;
      return absl::OkStatus();
    }
    telemetry::Warning("consumer: events not applied, they come again", {{"consumer", options.durable},
                                                                         {"events", absl::StrCat(events.size())},
                                                                         {"first", events.front().id()},
                                                                         {"error", std::string(applied.message())}});
    // Smaller and smaller batches: one event that cannot be applied does not hold up the others.
    batch_limit = std::max(1, batch_limit / 2);
    // The wait is here, not in the nak: nats-server 2.9 redelivers after a delayed nak only when the ack wait is over.
    stop.WaitFor(backoff);
    for (natsMsg* message : messages.span()) natsMsg_Nak(message, nullptr);
    backoff = std::min(2 * backoff, kMaxBackoff);
    return absl::OkStatus();
  }

  const ConsumerOptions options;
  const std::function<absl::Status(std::span<const Event>)> apply;
  prometheus::Counter& consumed =
      telemetry::Counter("flotilla_events_consumed_total", "Events applied and acknowledged.");

  async::StopSignal stop;

  // The thread's own.
  NatsConnection nats;
  JetStream js;
  NatsSubscription subscription;
  absl::Time next_check = absl::InfinitePast();
  int batch_limit;
  absl::Duration backoff = kMinBackoff;

  std::thread thread;
};

Consumer::Consumer(ConsumerOptions options, std::function<absl::Status(std::span<const Event>)> apply)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(apply))) {}
Consumer::~Consumer() = default;

}  // namespace flotilla::events
