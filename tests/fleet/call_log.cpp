#include "fleet/call_log.h"

#include <chrono>
#include <stdexcept>

#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"

namespace flotilla::fleet {
namespace {

// Refused for good; after any other error the order may exist all the same.
bool Definite(grpc::StatusCode code) {
  return code == grpc::StatusCode::INVALID_ARGUMENT || code == grpc::StatusCode::NOT_FOUND ||
         code == grpc::StatusCode::ALREADY_EXISTS || code == grpc::StatusCode::FAILED_PRECONDITION ||
         code == grpc::StatusCode::UNAUTHENTICATED || code == grpc::StatusCode::PERMISSION_DENIED;
}

}  // namespace

void CallLog::Open(const std::string& path) {
  const std::lock_guard lock(mutex_);
  out_ = std::ofstream(path);
}

void CallLog::Flush() {
  const std::lock_guard lock(mutex_);
  out_.flush();
}

void CallLog::Answered(Fields call, const grpc::Status& status, const Fields& result) {
  call.insert(result.begin(), result.end());
  Write(std::move(call), status.ok() ? "ok" : Definite(status.error_code()) ? "fail" : "unknown");
}

void CallLog::Write(Fields call, const char* type) {
  call["type"] = type;
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  call["time_us"] = std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
  google::protobuf::Struct line;
  for (const auto& [key, value] : call) (*line.mutable_fields())[key].set_string_value(value);
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(line, &json).ok()) throw std::runtime_error("a call is no text");
  out_ << json << '\n';
}

CallLog& Calls() {
  static auto* const log = new CallLog;
  return *log;
}

}  // namespace flotilla::fleet
