// For tests of handlers: a call's user is whoever its metadata "flotilla-user" names.
#pragma once

#include <memory>
#include <string>

#include "rpc/server.h"

namespace flotilla::rpc {

class TestUser final : public Interceptor {
 public:
  absl::Status OnStart(Call& call) override {
    call.user_id = std::string(call.Metadata("flotilla-user"));
    return absl::OkStatus();
  }
  void OnEnd(const Call&, const absl::Status&) override {}
};

// A client's context that names the user.
inline std::unique_ptr<grpc::ClientContext> As(const std::string& user) {
  auto context = std::make_unique<grpc::ClientContext>();
  if (!user.empty()) context->AddMetadata("flotilla-user", user);
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  return context;
}

}  // namespace flotilla::rpc
