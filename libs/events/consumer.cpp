#include <algorithm>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "async/steady_time.h"
#include "async/stop_signal.h"
#include "events/age.h"
#include "events/durable.h"
#include "events/envelope.h"
#include "events/log.h"
#include "events/nats_client.h"
#include "events/span.h"
#include "failpoint/failpoint.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace flotilla::events {
namespace {

constexpr std::int64_t kFetchMs = 250;  // also how long a stop may take
constexpr int kMaxFetch = 64;           // messages, of many events each under load
constexpr absl::Duration kCheckInterval = absl::Seconds(1);
constexpr absl::Duration kReconnectWait = absl::Milliseconds(250);
constexpr absl::Duration kMinBackoff = absl::Milliseconds(20);
constexpr absl::Duration kMinPostponement = absl::Milliseconds(50);
constexpr absl::Duration kMaxBackoff = absl::Seconds(2);  // below the ack wait, which would overtake it

class Messages {
 public:
  Messages() = default;
  Messages(const Messages&) = delete;
  ~Messages() { natsMsgList_Destroy(&list); }
  std::span<natsMsg*> span() const { return {list.Msgs, static_cast<std::size_t>(list.Count)}; }
  natsMsgList list{nullptr, 0};
};

// A fault of the moment, not of the event: tried again for ever.
bool IsTransient(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnknown:
      return true;
    default:
      return false;
  }
}

// A message in hand. It is acknowledged when all its events are done; one that is given back comes again as a whole.
class Delivery {
 public:
  Delivery(NatsMessage message, std::size_t events) : message_(std::move(message)), open_(events) {}

  void Done() {
    if (--open_ > 0 || returned_ || !FLOTILLA_FAILPOINT("nats.ack.before").ok()) return;  // not acked: it comes again
    natsMsg_Ack(message_.get(), nullptr);
    FLOTILLA_FAILPOINT("nats.ack.after").IgnoreError();  // nobody waits for an answer
  }
  void Return() {
    if (open_ > 0 && !std::exchange(returned_, true)) natsMsg_Nak(message_.get(), nullptr);
  }
  bool returned() const { return returned_; }
  void KeepWaiting() { natsMsg_InProgress(message_.get(), nullptr); }  // the ack wait begins anew

 private:
  NatsMessage message_;
  std::size_t open_;  // events that are not done
  bool returned_ = false;
};
using Origin = std::shared_ptr<Delivery>;

}  // namespace

struct Consumer::Impl {
  Impl(ConsumerOptions o, Apply a, Bury b) : options(std::move(o)), apply(std::move(a)), bury(std::move(b)) {
    FLOTILLA_DECLARE_FAILPOINT("nats.ack");
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
      postponed.clear();  // before what they came from; they come again when the ack wait is over
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
    // The stream is the relay's: one that is made anew must be filled again, so nobody else makes it.

    // For several instances with what they fetched in hand each.
    const int max_ack_pending = std::max(4096, 16 * options.max_batch);
    if (absl::Status ensured =
            EnsureDurable(nats.get(), js.get(), {options.stream, options.subject, options.durable, max_ack_pending});
        !ensured.ok()) {
      return ensured;
    }

    jsSubOptions bind;
    jsSubOptions_Init(&bind);
    bind.Stream = options.stream.c_str();
    bind.Consumer = options.durable.c_str();
    natsSubscription* raw = nullptr;
    jsErrCode error = static_cast<jsErrCode>(0);
    const natsStatus status =
        js_PullSubscribe(&raw, js.get(), options.subject.c_str(), options.durable.c_str(), nullptr, &bind, &error);
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
    if (async::SteadyNow() < next_check || natsConnection_Status(nats.get()) != NATS_CONN_STATUS_CONNECTED) {
      return absl::OkStatus();
    }
    next_check = async::After(kCheckInterval);
    jsConsumerInfo* info = nullptr;
    jsErrCode error = static_cast<jsErrCode>(0);
    const natsStatus status =
        js_GetConsumerInfo(&info, js.get(), options.stream.c_str(), options.durable.c_str(), nullptr, &error);
    jsConsumerInfo_Destroy(info);
    if (status == NATS_OK || status == NATS_TIMEOUT) return absl::OkStatus();
    return NatsError("consumer " + options.durable, status, error);
  }

  absl::Status FetchAndApply() {
    TryPostponed();
    Messages messages;
    const async::SteadyTime started = async::SteadyNow();
    natsStatus status = Fetch(messages, kMaxFetch, true);
    if (status == NATS_TIMEOUT && async::SteadyNow() < async::After(absl::Milliseconds(kFetchMs / 2), started) &&
        !stop.IsSet()) {
      // A server that answers no_wait at once even so: wait for one message in the plain way.
      status = Fetch(messages, 1, false);
    }
    if (status == NATS_TIMEOUT) return CheckConsumer();
    if (status != NATS_OK) return NatsError("fetch", status);

    std::vector<Event> events;
    std::vector<Origin> origins;  // of each event
    for (natsMsg*& message : messages.span()) {
      const std::size_t before = events.size();
      Unpack(message, events);
      origins.resize(events.size(),
                     std::make_shared<Delivery>(NatsMessage(std::exchange(message, nullptr)), events.size() - before));
    }
    received_age.Observe(events);
    const auto max_batch = static_cast<std::size_t>(options.max_batch);
    bool go_on = true;
    for (std::size_t first = 0; first < events.size() && go_on; first += max_batch) {
      const std::size_t count = std::min(max_batch, events.size() - first);
      go_on =
          !stop.IsSet() && Handle(std::span(events).subspan(first, count), std::span(origins).subspan(first, count));
    }
    if (!go_on) {
      for (const Origin& origin : origins) origin->Return();
    }
    return absl::OkStatus();
  }

  absl::Status TryToApply(std::span<const Event> events) {
    std::vector<tracing::Span> spans;
    for (const Event& event : events) AddSpan("handle", tracing::Kind::kConsumer, event, spans);
    absl::Status status;
    try {
      status = apply(events);
    } catch (const std::exception& error) {
      status = absl::InternalError(error.what());
    }
    for (tracing::Span& span : spans) span.End(status);
    if (!status.ok()) return status;
    consumed.Increment(static_cast<double>(events.size()));
    applied_age.Observe(events);
    return status;
  }

  // An event that cannot be applied is found by halving, so it holds up none of the others. False: a fault of the
  // moment, and what is not done should come again.
  bool Handle(std::span<const Event> events, std::span<const Origin> origins) {
    const absl::Status status = TryToApply(events);
    if (status.ok()) {
      for (const Origin& origin : origins) origin->Done();
      backoff = kMinBackoff;
    } else if (IsTransient(status)) {
      Warn(events, status);
      // The wait is here, not in the nak: nats-server 2.9 redelivers after a delayed nak only when the ack wait is
      // over.
      stop.WaitFor(backoff);
      backoff = std::min(2 * backoff, kMaxBackoff);
      return false;
    } else if (events.size() > 1) {
      const std::size_t half = events.size() / 2;
      return Handle(events.first(half), origins.first(half)) && Handle(events.subspan(half), origins.subspan(half));
    } else {
      Refused({.event = events.front(), .origin = origins.front()}, status);
    }
    return true;
  }

  struct Postponed {
    Event event;
    Origin origin;
    int tries = 0;
    async::SteadyTime until = {};
  };

  void Refused(Postponed refused, const absl::Status& status) {
    Warn({&refused.event, 1}, status);
    if (++refused.tries >= options.max_tries && bury) {
      const absl::Status buried = bury(refused.event, status);
      if (buried.ok()) {
        refused.origin->Done();
        return;
      }
      Warn({&refused.event, 1}, buried);
    }
    const absl::Duration wait = kMinPostponement * (std::int64_t{1} << std::min(refused.tries, 7));
    refused.until = async::After(std::min(wait, kMaxBackoff));
    postponed.push_back(std::move(refused));
  }

  // Postponed events whose time has come. The rest of their messages is done, so these do not come again meanwhile.
  void TryPostponed() {
    for (Postponed& each : std::exchange(postponed, {})) {
      if (each.origin->returned()) continue;
      if (each.until > async::SteadyNow()) {
        postponed.push_back(std::move(each));
        continue;
      }
      each.origin->KeepWaiting();
      const absl::Status status = TryToApply({&each.event, 1});
      if (status.ok()) {
        each.origin->Done();
      } else if (IsTransient(status)) {
        each.origin->Return();
      } else {
        Refused(std::move(each), status);
      }
    }
  }

  void Warn(std::span<const Event> events, const absl::Status& status) {
    telemetry::Warning("consumer: events not applied, they come again", {{"consumer", options.durable},
                                                                         {"events", absl::StrCat(events.size())},
                                                                         {"first", events.front().id()},
                                                                         {"error", std::string(status.message())}});
  }

  const ConsumerOptions options;
  const Apply apply;
  const Bury bury;
  prometheus::Counter& consumed =
      telemetry::Counter("flotilla_events_consumed_total", "Events applied and acknowledged.");

  Age received_age{"received"}, applied_age{"applied"};

  async::StopSignal stop;

  // The thread's own.
  NatsConnection nats;
  JetStream js;
  NatsSubscription subscription;
  async::SteadyTime next_check = {};
  absl::Duration backoff = kMinBackoff;
  std::vector<Postponed> postponed;

  std::thread thread;
};

Consumer::Consumer(ConsumerOptions options, Apply apply, Bury bury)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(apply), std::move(bury))) {}
Consumer::~Consumer() = default;

}  // namespace flotilla::events
