// Clients that hold Subscribe streams and note when each notification came.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "flotilla/notify/v1/notify_service.grpc.pb.h"

namespace flotilla::bench {

class Subscribers {
 public:
  // One stream for each of user-0 to user-(count - 1), spread over `channels` connections; a thread takes what comes.
  Subscribers(const std::string& address, int count, int channels);
  ~Subscribers();  // cancels the streams

  int open() const { return open_; }  // that are alive, as their first heartbeat or notification says
  std::int64_t received() const { return received_; }
  struct Arrival {
    std::string event_id;
    absl::Time at;
  };
  // Of the notifications that came since the last call.
  std::vector<Arrival> TakeArrivals();

 private:
  struct Stream;
  void Run();
  void Took(Stream& stream);

  grpc::CompletionQueue queue_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::atomic<int> open_ = 0;
  std::atomic<std::int64_t> received_ = 0;
  std::mutex mutex_;
  std::vector<Arrival> arrivals_;
  std::thread thread_;
};

}  // namespace flotilla::bench
