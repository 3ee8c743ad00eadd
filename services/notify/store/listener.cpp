#include "notify/store/listener.h"

#include <poll.h>

#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "async/stop_signal.h"
#include "notify/store/notification_store.h"
#include "postgres/connection.h"
#include "telemetry/log.h"

namespace flotilla::notify {
namespace {

constexpr int kTurnMs = 250;  // how long a stop may take
constexpr absl::Duration kReconnectWait = absl::Milliseconds(200);

}  // namespace

struct Listener::Impl {
  Impl(postgres::Options o, std::function<void(const std::vector<Told>&)> news, std::function<void()> gap,
       const Origin& own_origin)
      : options(std::move(o)), on_news(std::move(news)), on_gap(std::move(gap)), own(own_origin), thread([this] {
          Run();
        }) {}

  ~Impl() {
    stop.Set();
    thread.join();
  }

  void Run() {
    for (bool failing = false; !stop.IsSet();) {
      try {
        Listen(failing);
        return;
      } catch (const std::exception& error) {
        if (!failing) {
          telemetry::Warning("listener: lost the database", {{"error", postgres::FirstLine(error.what())}});
        }
        failing = true;
      }
      stop.WaitFor(kReconnectWait);
    }
  }

  struct Receiver final : pqxx::notification_receiver {
    Receiver(pqxx::connection& connection, Impl& i) : notification_receiver(connection, kChannel), impl(i) {}
    void operator()(const std::string& payload, int) override {
      if (impl.own.Is(std::string_view(payload).substr(0, payload.find(' ')))) return;
      std::vector<Told> told;
      for (const absl::string_view word : absl::StrSplit(payload, ' ', absl::SkipEmpty())) {
        const std::size_t slash = word.find('/');
        Told each{.user_id = std::string(word.substr(0, slash))};
        if (slash == absl::string_view::npos || !absl::SimpleAtoi(word.substr(slash + 1), &each.through)) continue;
        told.push_back(std::move(each));
      }
      impl.on_news(told);
    }
    Impl& impl;
  };

  // Until stopped; throws when the connection is lost.
  void Listen(bool& failing) {
    const auto connection = postgres::Connect(options);
    const Receiver receiver(*connection, *this);
    if (failing) telemetry::Info("listener: listening again");
    failing = false;
    on_gap();
    while (!stop.IsSet()) {
      // Not libpqxx's own wait: select() cannot take a descriptor above 1023.
      pollfd ready{connection->sock(), POLLIN, 0};
      if (poll(&ready, 1, kTurnMs) > 0) connection->get_notifs();
    }
  }

  const postgres::Options options;
  const std::function<void(const std::vector<Told>&)> on_news;
  const std::function<void()> on_gap;
  const Origin& own;
  async::StopSignal stop;
  std::thread thread;
};

Listener::Listener(postgres::Options options, std::function<void(const std::vector<Told>&)> on_news,
                   std::function<void()> on_gap, const Origin& own) {
  impl_ = std::make_unique<Impl>(postgres::Named(std::move(options), "listener"), std::move(on_news), std::move(on_gap),
                                 own);
}
Listener::~Listener() = default;

}  // namespace flotilla::notify
