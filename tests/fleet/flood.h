// Orders in numbers that a fleet cannot serve, of one thread: at a rate whatever is answered, or so many at once.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"

namespace flotilla::fleet {

struct FloodOptions {
  std::string address;
  std::string run;  // prefix of the idempotency keys
  int connections = 8;
  int users = 1000;  // user-0 ...
  int skus = 1000;   // sku-0 ...
  std::string sku_prefix = "sku-";
  absl::Duration timeout = absl::Seconds(2);
  bool log = false;  // for the checker; costs more than the call
};

// What was answered within one second.
struct Second {
  int ok = 0, others = 0;
  std::vector<float> milliseconds;  // of those that were OK; ascending after Run
  float Percentile(double share) const;
};

struct Answers {
  std::int64_t sent = 0, answered = 0;
  std::map<std::string, std::int64_t> by_outcome;  // "OK", "RESOURCE_EXHAUSTED OVERLOADED", "UNAVAILABLE" ...
  std::int64_t shed = 0, shed_without_delay = 0;   // RESOURCE_EXHAUSTED; of these without RetryInfo
  absl::Duration slowest;                          // of all answers
  std::vector<Second> seconds;
  // OK a second, over those seconds that were sent in.
  double Rate() const;
};

class Flood {
 public:
  explicit Flood(FloodOptions options);
  ~Flood();

  // `rate` calls a second.
  Answers Open(double rate, absl::Duration time);
  // The next one as soon as one is answered.
  Answers Closed(int at_once, absl::Duration time);

 private:
  struct Call;
  void Send(Answers& answers);
  void Take(Call* call, absl::Time start, Answers& answers);
  // `due`: how many are to be sent now, given how many wait for an answer.
  Answers Run(absl::Duration time, const std::function<int(absl::Duration since_start, int waiting)>& due);

  const FloodOptions options_;
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs_;
  grpc::CompletionQueue queue_;
  std::int64_t number_ = 0;
};

}  // namespace flotilla::fleet
