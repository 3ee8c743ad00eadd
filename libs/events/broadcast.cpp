#include "events/broadcast.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "events/nats_client.h"
#include "telemetry/log.h"

namespace flotilla::events {
namespace {

constexpr absl::Duration kReconnectWait = absl::Milliseconds(500);
constexpr std::size_t kMaxWords = 4096;  // waiting; beyond, they are dropped
// From one message to the next. The first word goes at once; without a pause every other word of a busy service was a
// message, and a wake-up of its own.
constexpr absl::Duration kPause = absl::Milliseconds(2);
constexpr std::chrono::seconds kLastMessage(5);

}  // namespace

struct Broadcast::Impl {
  Impl(NatsOptions n, std::string s, std::function<void(std::span<const std::string>)> h)
      : nats(std::move(n)), subject(std::move(s)), heard(std::move(h)), thread([this] { Run(); }) {}

  ~Impl() {
    {
      std::lock_guard lock(mutex);
      stopping = true;
    }
    wakeup.notify_all();
    thread.join();
  }

  void Run() {
    NatsConnection connection;
    NatsSubscription subscription;
    Talk(connection, subscription);
    if (!subscription) return;
    // NATS may be amid a message on its thread, which destroying the subscription does not wait for.
    subscription.reset();
    std::unique_lock lock(mutex);
    wakeup.wait_for(lock, kLastMessage, [this] { return complete; });
  }

  void Talk(NatsConnection& connection, NatsSubscription& subscription) {
    for (bool failing = false;;) {
      if (!connection) {
        const absl::Status status = Open(connection, subscription);
        if (!status.ok() && !failing) {
          telemetry::Warning("broadcast: cannot connect",
                             {{"subject", subject}, {"error", std::string(status.message())}});
        }
        failing = !status.ok();
      }
      std::vector<std::string> said;
      {
        std::unique_lock lock(mutex);
        const auto ready = [this] { return stopping || !words.empty(); };
        if (connection) {
          wakeup.wait(lock, ready);
        } else {
          wakeup.wait_for(lock, absl::ToChronoNanoseconds(kReconnectWait), [this] { return stopping; });
        }
        if (stopping) return;
        said.swap(words);
      }
      if (!connection || said.empty()) continue;
      const std::string message = absl::StrJoin(said, " ");
      natsConnection_Publish(connection.get(), subject.c_str(), message.data(), static_cast<int>(message.size()));
      Pause();
    }
  }

  void Pause() {
    std::unique_lock lock(mutex);
    pausing = true;
    wakeup.wait_for(lock, absl::ToChronoNanoseconds(kPause), [this] { return stopping; });
    pausing = false;
  }

  absl::Status Open(NatsConnection& connection, NatsSubscription& subscription) {
    auto opened = ConnectNats(nats, subject, false);
    if (!opened.ok()) return opened.status();
    natsSubscription* raw = nullptr;
    const natsStatus status = natsConnection_Subscribe(&raw, opened->get(), subject.c_str(), OnMessage, this);
    if (status != NATS_OK) return NatsError("subscribe " + subject, status);
    connection = *std::move(opened);
    subscription.reset(raw);
    if (natsSubscription_SetOnCompleteCB(raw, OnComplete, this) != NATS_OK) complete = true;
    return absl::OkStatus();
  }

  static void OnComplete(void* self) {
    auto* impl = static_cast<Impl*>(self);
    std::lock_guard lock(impl->mutex);
    impl->complete = true;
    impl->wakeup.notify_all();
  }

  static void OnMessage(natsConnection*, natsSubscription*, natsMsg* raw, void* self) {
    const NatsMessage message(raw);
    const absl::string_view text(natsMsg_GetData(raw), static_cast<std::size_t>(natsMsg_GetDataLength(raw)));
    const std::vector<std::string> words = absl::StrSplit(text, ' ', absl::SkipEmpty());
    static_cast<Impl*>(self)->heard(words);
  }

  const NatsOptions nats;
  const std::string subject;
  const std::function<void(std::span<const std::string>)> heard;
  std::mutex mutex;
  std::condition_variable wakeup;
  bool stopping = false;
  bool complete = false;  // NATS calls no more
  bool pausing = false;   // the thread looks by itself when it ends
  std::vector<std::string> words;
  std::thread thread;
};

Broadcast::Broadcast(NatsOptions nats, std::string subject, std::function<void(std::span<const std::string>)> heard)
    : impl_(std::make_unique<Impl>(std::move(nats), std::move(subject), std::move(heard))) {}
Broadcast::~Broadcast() = default;

void Broadcast::Say(std::string word) {
  {
    std::lock_guard lock(impl_->mutex);
    if (impl_->words.size() >= kMaxWords) impl_->words.clear();
    impl_->words.push_back(std::move(word));
    if (impl_->words.size() > 1 || impl_->pausing) return;  // the thread has been woken, or looks by itself
  }
  impl_->wakeup.notify_one();
}

}  // namespace flotilla::events
