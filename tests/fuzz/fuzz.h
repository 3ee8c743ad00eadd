// What the targets share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "errors/errors.h"
#include "google/protobuf/message.h"
#include "grpcpp/support/byte_buffer.h"
#include "rpc/request_bytes.h"

namespace flotilla::fuzz {

// A finding: libFuzzer keeps the input.
inline void Require(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "does not hold: " << what << "\n";
  std::abort();
}

// The first byte, which chooses what the rest is for.
inline int TakeChoice(std::string_view& input, int choices) {
  if (input.empty()) return 0;
  const int choice = static_cast<unsigned char>(input.front()) % choices;
  input.remove_prefix(1);
  return choice;
}

// What a client is told of input that is refused: a code that blames the input, and a reason.
inline void RequireRefusal(const absl::Status& status) {
  if (status.ok()) return;
  Require(status.code() == absl::StatusCode::kInvalidArgument || status.code() == absl::StatusCode::kUnauthenticated,
          "a refusal blames the input");
  Require(!errors::Reason(status).empty(), "a refusal has a reason");
}

// As rpc::Server does it: parse, or explain why not; then `check`, which returns a Status or a StatusOr.
template <class Request, class Check>
void Handle(std::string_view bytes, Check check) {
  Request request;
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    const grpc::Slice slice(bytes.data(), bytes.size());
    const absl::Status why = rpc::ExplainUnparsable(request, grpc::ByteBuffer(&slice, 1));
    Require(!why.ok(), "what cannot be parsed is refused");
    return RequireRefusal(why);
  }
  const auto result = check(request);
  if constexpr (std::is_same_v<decltype(result), const absl::Status>) {
    RequireRefusal(result);
  } else {
    RequireRefusal(result.status());
  }
}

}  // namespace flotilla::fuzz

// The one function that libFuzzer calls, as a function of a string_view.
#define FLOTILLA_FUZZ(function)                                                       \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { \
    function(std::string_view(reinterpret_cast<const char*>(data), size));            \
    return 0;                                                                         \
  }
