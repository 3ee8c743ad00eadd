// The log of calls that the checker judges (tests/checker/client_log.h): one line when a call is sent, one when its
// fate is known. Thread-safe.
#pragma once

#include <fstream>
#include <map>
#include <mutex>
#include <string>

#include "grpcpp/support/status.h"

namespace flotilla::fleet {

class CallLog {
 public:
  using Fields = std::map<std::string, std::string>;

  void Open(const std::string& path);
  void Flush();
  void Invoked(const Fields& call) { Write(call, "invoke"); }
  // `result` holds what an answered call's order has: order_id and state; or the reason of a refusal.
  void Answered(Fields call, const grpc::Status& status, const Fields& result);

 private:
  void Write(Fields call, const char* type);

  std::mutex mutex_;
  std::ofstream out_;
};

// Of the living fleet: one lives at a time.
CallLog& Calls();

}  // namespace flotilla::fleet
