#include "events/nats_client.h"

#include "absl/strings/str_cat.h"

namespace flotilla::events {
namespace {

constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

using OptionsHandle = std::unique_ptr<natsOptions, NatsDelete<natsOptions_Destroy>>;

void IgnoreAsyncError(natsConnection*, natsSubscription*, natsStatus, void*) {}

}  // namespace

absl::Status NatsError(std::string_view what, natsStatus status, int js_error) {
  std::string text =
      absl::StrCat("nats: ", absl::string_view(what.data(), what.size()), ": ", natsStatus_GetText(status));
  if (js_error != 0) absl::StrAppend(&text, " (JetStream error ", js_error, ")");
  return absl::UnavailableError(text);
}

absl::StatusOr<NatsConnection> ConnectNats(const NatsOptions& options, const std::string& name, bool echo) {
  natsOptions* raw = nullptr;
  natsStatus status = natsOptions_Create(&raw);
  const OptionsHandle handle(raw);
  if (status == NATS_OK) status = natsOptions_SetURL(raw, options.url.c_str());
  if (status == NATS_OK) status = natsOptions_SetName(raw, name.c_str());
  if (status == NATS_OK) status = natsOptions_SetTimeout(raw, 2000);
  if (status == NATS_OK) status = natsOptions_SetAllowReconnect(raw, true);
  if (status == NATS_OK) status = natsOptions_SetMaxReconnect(raw, -1);
  if (status == NATS_OK) status = natsOptions_SetReconnectWait(raw, 250);
  if (status == NATS_OK) status = natsOptions_SetPingInterval(raw, 5000);
  if (status == NATS_OK) status = natsOptions_SetMaxPingsOut(raw, 2);
  // A write to a server that has stopped reading must not block for ever.
  if (status == NATS_OK) status = natsOptions_SetWriteDeadline(raw, 2000);
  if (status == NATS_OK) status = natsOptions_SetErrorHandler(raw, IgnoreAsyncError, nullptr);
  if (status == NATS_OK) status = natsOptions_SetNoEcho(raw, !echo);
  // Without it a thread of its own sends what is published, a millisecond later.
  if (status == NATS_OK) status = natsOptions_SetSendAsap(raw, true);
  natsConnection* connection = nullptr;
  if (status == NATS_OK) status = natsConnection_Connect(&connection, raw);
  if (status != NATS_OK) return NatsError("connect", status);
  return NatsConnection(connection);
}

absl::StatusOr<JetStream> OpenJetStream(natsConnection* connection) {
  jsOptions options;
  jsOptions_Init(&options);
  options.Wait = 2000;
  jsCtx* js = nullptr;
  if (natsStatus status = natsConnection_JetStream(&js, connection, &options); status != NATS_OK) {
    return NatsError("JetStream", status);
  }
  return JetStream(js);
}

absl::Status EnsureStream(jsCtx* js, const std::string& stream, const std::string& subject, absl::Duration retention) {
  jsStreamConfig config;
  jsStreamConfig_Init(&config);
  const char* subjects[] = {subject.c_str()};
  config.Name = stream.c_str();
  config.Subjects = subjects;
  config.SubjectsLen = 1;
  config.Storage = js_FileStorage;
  config.Retention = js_LimitsPolicy;
  config.Discard = js_DiscardOld;
  config.MaxAge = absl::ToInt64Nanoseconds(retention);
  config.Duplicates = 120 * kNanosPerSecond;
  jsErrCode error = static_cast<jsErrCode>(0);
  const natsStatus status = js_AddStream(nullptr, js, &config, nullptr, &error);
  // The name exists with another configuration: an operator's choice.
  if (status == NATS_OK || error == JSStreamNameExistErr) return absl::OkStatus();
  return NatsError("stream " + stream, status, error);
}

absl::Status KeepRetention(jsCtx* js, const jsStreamConfig& current, absl::Duration retention) {
  jsStreamConfig config = current;
  config.MaxAge = absl::ToInt64Nanoseconds(retention);
  if (config.MaxAge == current.MaxAge) return absl::OkStatus();
  jsErrCode error = static_cast<jsErrCode>(0);
  const natsStatus status = js_UpdateStream(nullptr, js, &config, nullptr, &error);
  return status == NATS_OK ? absl::OkStatus() : NatsError(std::string("stream ") + config.Name, status, error);
}

}  // namespace flotilla::events
