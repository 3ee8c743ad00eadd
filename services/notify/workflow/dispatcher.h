// Sends what is due to webhooks.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "notify/store/delivery_store.h"
#include "notify/webhook/http_sender.h"
#include "prometheus/counter.h"

namespace flotilla::notify {

// Any number of instances share the work. One thread for the database; HttpSender has its own. An endpoint that is
// slow has at most per_endpoint requests under way here; many that gave no answer last time have three quarters at
// most.
class Dispatcher {
 public:
  struct Options {
    postgres::Options postgres;
    RetryPolicy retry;
    HttpSender::Options http;
    int per_endpoint = 4;
    int in_flight = 512;                            // requests under way
    absl::Duration poll = absl::Milliseconds(500);  // for what other instances or time made due
    absl::Duration lease = absl::Seconds(60);       // longer than a request may take
  };
  explicit Dispatcher(Options options);
  ~Dispatcher();  // stops; what is under way is due again after its lease
  // There may be something new. Any thread.
  void Wake();

 private:
  void Run();
  void ClaimAndSend();
  void Send(Attempt attempt);
  void Finished(const Attempt& attempt, const Outcome& outcome);
  // Under the mutex: the endpoints that get nothing more for now.
  std::vector<std::string> Busy();

  const Options options_;
  DeliveryStore store_;
  prometheus::Counter& delivered_;
  prometheus::Counter& refused_;
  std::mutex mutex_;
  std::condition_variable wakeup_;
  bool stopping_ = false;
  bool woken_ = false;
  int in_flight_ = 0;
  std::map<std::string, int> endpoints_;  // requests under way of each
  std::set<std::string> silent_;          // endpoints that gave no answer last time
  std::vector<std::pair<Attempt, Outcome>> finished_;
  std::unique_ptr<HttpSender> sender_;  // its callbacks use all of the above
  std::thread thread_;
};

}  // namespace flotilla::notify
