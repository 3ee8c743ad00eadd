// A TCP proxy on this machine whose link can be slowed, cut, cut one way, or cut at a certain moment.
#pragma once

#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"

namespace flotilla::fleet {

class Proxy {
 public:
  // Listens on a port of its own; connections go to 127.0.0.1:`target`, which may be set later.
  explicit Proxy(int target = 0);
  ~Proxy();
  Proxy(const Proxy&) = delete;

  int port() const { return port_; }
  void SetTarget(int port) { target_ = port; }
  void SetDelay(absl::Duration delay) { delay_us_ = absl::ToInt64Microseconds(delay); }  // each way
  void Cut();             // breaks every connection and accepts none
  void SwallowAnswers();  // one way: what the target says is lost, connections stay
  void Heal();            // as at the beginning; connections that swallowed bytes are broken
  // The next `count` connections whose client sends these bytes are broken once the target has got them: the answer is
  // lost.
  void CutAfter(std::string bytes, int count);
  int cuts_left() const { return cuts_left_; }

 private:
  struct Connection;
  struct Server {
    std::thread thread;
    std::shared_ptr<std::atomic<bool>> ended;
  };
  void Accept();
  void Serve(std::shared_ptr<Connection> connection);
  bool Pump(Connection& connection, bool from_client, std::string& tail);
  void BreakAll();

  int listener_ = -1, port_ = 0;
  std::atomic<int> target_;
  std::atomic<std::int64_t> delay_us_ = 0;
  std::atomic<bool> cut_ = false, swallow_ = false, stop_ = false;
  std::atomic<int> cuts_left_ = 0;
  std::mutex mutex_;
  std::string cut_after_;                                 // under the mutex
  std::vector<std::shared_ptr<Connection>> connections_;  // under the mutex
  std::list<Server> servers_;                             // the acceptor's own, until it has ended
  std::thread acceptor_;
};

}  // namespace flotilla::fleet
