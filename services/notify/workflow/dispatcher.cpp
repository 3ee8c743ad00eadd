#include "notify/workflow/dispatcher.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "flotilla/notify/v1/notify_service.pb.h"
#include "google/protobuf/util/json_util.h"
#include "notify/codec/codec.h"
#include "notify/webhook/signature.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace flotilla::notify {
namespace {

constexpr int kEndpointsAClaim = 64;
constexpr std::size_t kMostSilent = 2000;

prometheus::Counter& Attempts(const char* outcome) {
  return telemetry::Counter("flotilla_webhook_attempts_total", "Requests to webhooks, by outcome",
                            {{"outcome", outcome}});
}

HttpRequest RequestOf(const Attempt& attempt) {
  v1::Notification body;
  Fill(attempt.notification, &body);
  body.clear_read();
  HttpRequest request{.url = attempt.endpoint.url, .headers = {}, .body = ""};
  // Its text is valid UTF-8, so this does not fail.
  static_cast<void>(google::protobuf::util::MessageToJsonString(body, &request.body));
  // The same at every attempt: receivers tell repeats by it.
  const std::string& id = attempt.notification.event_id;
  const std::int64_t time = absl::ToUnixSeconds(attempt.claimed_at);
  std::string signature = Sign(attempt.endpoint.secret, id, time, request.body);
  if (!attempt.endpoint.previous_secret.empty()) {  // receivers accept either
    absl::StrAppend(&signature, " ", Sign(attempt.endpoint.previous_secret, id, time, request.body));
  }
  request.headers = {"content-type: application/json", absl::StrCat("webhook-id: ", id),
                     absl::StrCat("webhook-timestamp: ", time), absl::StrCat("webhook-signature: ", signature)};
  return request;
}

}  // namespace

Dispatcher::Dispatcher(Options options)
    : options_(std::move(options)),
      store_(options_.postgres, options_.retry),
      delivered_(Attempts("delivered")),
      refused_(Attempts("failed")),
      sender_(std::make_unique<HttpSender>(options_.http)),
      thread_([this] { Run(); }) {}

Dispatcher::~Dispatcher() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wakeup_.notify_all();
  thread_.join();
}

void Dispatcher::Wake() {
  {
    std::lock_guard lock(mutex_);
    woken_ = true;
  }
  wakeup_.notify_all();
}

void Dispatcher::Run() {
  for (;;) {
    std::vector<std::pair<Attempt, Outcome>> finished;
    {
      std::unique_lock lock(mutex_);
      wakeup_.wait_for(lock, absl::ToChronoNanoseconds(options_.poll),
                       [this] { return stopping_ || woken_ || !finished_.empty(); });
      woken_ = false;
      finished.swap(finished_);
      // A place is free once its outcome is stored.
      if (stopping_ && finished.empty()) return;
    }
    for (const auto& [attempt, outcome] : finished) {
      const absl::Status status = store_.Finish(attempt, outcome);
      if (!status.ok()) {  // sent again after its lease
        telemetry::Warning("webhooks: an outcome is not stored", {{"error", std::string(status.message())}});
      }
      (outcome.ok() ? delivered_ : refused_).Increment();
      Finished(attempt, outcome);
    }
    ClaimAndSend();
  }
}

void Dispatcher::Finished(const Attempt& attempt, const Outcome& outcome) {
  const std::string& endpoint = attempt.endpoint.endpoint_id;
  std::lock_guard lock(mutex_);
  --in_flight_;
  if (--endpoints_[endpoint] == 0) endpoints_.erase(endpoint);
  if (outcome.http_status != 0) {
    silent_.erase(endpoint);
  } else {
    if (silent_.size() >= kMostSilent) silent_.erase(silent_.begin());  // most of them get no more attempts
    silent_.insert(endpoint);
  }
}

// Those that hang keep their places longest and are due longest. Once they have a quarter they get no more; the claim
// that took them there may have been all theirs, so that half of the places at most is added.
std::vector<std::string> Dispatcher::Busy() {
  std::vector<std::string> busy;
  int silent = 0;
  for (const auto& [endpoint, count] : endpoints_) {
    busy.push_back(endpoint);
    if (silent_.contains(endpoint)) silent += count;
  }
  if (silent >= options_.in_flight / 4) busy.insert(busy.end(), silent_.begin(), silent_.end());
  return busy;
}

void Dispatcher::ClaimAndSend() {
  int endpoints = 0;
  std::vector<std::string> busy;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    endpoints = std::min(kEndpointsAClaim, (options_.in_flight - in_flight_) / options_.per_endpoint);
    busy = Busy();
  }
  if (endpoints <= 0) return;
  absl::StatusOr<std::vector<Attempt>> attempts = store_.Claim(endpoints, options_.per_endpoint, busy, options_.lease);
  if (!attempts.ok()) {
    telemetry::Warning("webhooks: cannot claim", {{"error", std::string(attempts.status().message())}});
    return;
  }
  for (Attempt& attempt : *attempts) Send(std::move(attempt));
  if (!attempts->empty()) Wake();  // there may be more
}

void Dispatcher::Send(Attempt attempt) {
  {
    std::lock_guard lock(mutex_);
    ++in_flight_;
    ++endpoints_[attempt.endpoint.endpoint_id];
  }
  HttpRequest request = RequestOf(attempt);
  sender_->Send(std::move(request), [this, attempt = std::move(attempt)](const HttpResult& result) {
    {
      std::lock_guard lock(mutex_);
      finished_.emplace_back(attempt,
                             Outcome{.http_status = result.status, .error = result.error, .duration = result.duration});
    }
    wakeup_.notify_all();
  });
}

}  // namespace flotilla::notify
