#include "events/durable.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "events/nats_client.h"
#include "telemetry/log.h"

namespace flotilla::events {
namespace {

// What an instance that died had in hand comes again after this long. A slower handler is given its events twice, which
// costs work, nothing else.
constexpr std::int64_t kAckWaitMs = 5'000;
constexpr std::int64_t kAnswerMs = 1'000;

using ConsumerInfo = std::unique_ptr<jsConsumerInfo, NatsDelete<jsConsumerInfo_Destroy>>;

}  // namespace

bool Answers(natsConnection* connection, const std::string& stream, const std::string& durable) {
  // Refused at once by a consumer that can, and takes no message out of its hands.
  constexpr char kMalformed[] = "{";
  const std::string next = absl::StrCat("$JS.API.CONSUMER.MSG.NEXT.", stream, ".", durable);
  natsMsg* reply = nullptr;
  const natsStatus status = natsConnection_RequestString(&reply, connection, next.c_str(), kMalformed, kAnswerMs);
  natsMsg_Destroy(reply);
  return status != NATS_TIMEOUT;
}

absl::Status EnsureDurable(natsConnection* connection, jsCtx* js, const Durable& durable, decltype(Answers)* answers) {
  jsConsumerConfig config;
  jsConsumerConfig_Init(&config);
  config.Durable = durable.name.c_str();
  config.FilterSubject = durable.subject.c_str();
  config.DeliverPolicy = js_DeliverAll;
  config.AckPolicy = js_AckExplicit;
  config.AckWait = kAckWaitMs * kNanosPerMilli;
  config.MaxAckPending = durable.max_ack_pending;
  jsErrCode error = static_cast<jsErrCode>(0);
  jsConsumerInfo* raw = nullptr;
  natsStatus status = js_AddConsumer(&raw, js, durable.stream.c_str(), &config, nullptr, &error);
  const ConsumerInfo info(raw);
  if (status != NATS_OK) return NatsError("consumer " + durable.name, status, error);

  // One that was heard of is not deaf; of the others nothing is lost where this one was merely slow.
  if (info->AckFloor.Consumer > 0 || answers(connection, durable.stream, durable.name)) return absl::OkStatus();
  telemetry::Warning("consumer: is deaf from its birth, made anew",
                     {{"consumer", durable.name}, {"stream", durable.stream}});
  status = js_DeleteConsumer(js, durable.stream.c_str(), durable.name.c_str(), nullptr, &error);
  if (status != NATS_OK) return NatsError("deaf consumer " + durable.name, status, error);
  return absl::UnavailableError("nats: consumer " + durable.name + " was deaf");
}

}  // namespace flotilla::events
