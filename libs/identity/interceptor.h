// Knows the caller of every call, and refuses those who may not call the method.
#pragma once

#include <memory>

#include "identity/token.h"
#include "rpc/server.h"

namespace flotilla::identity {

// A user comes with "authorization: Bearer <token>", a service with its certificate, which the server's TLS has
// verified. A service may name the user that it calls for in "flotilla-user"; of others that is not read.
// UNAUTHENTICATED where who calls is not proven (NO_CREDENTIALS, INVALID_TOKEN, TOKEN_EXPIRED), PERMISSION_DENIED where
// it is, but policy.h does not name them (NOT_AN_OPERATOR, NOT_ALLOWED).
class Guard final : public rpc::Interceptor {
 public:
  explicit Guard(std::unique_ptr<TokenVerifier> tokens) : tokens_(std::move(tokens)) {}
  absl::Status OnStart(rpc::Call& call) override;
  void OnEnd(const rpc::Call&, const absl::Status&) override {}

 private:
  const std::unique_ptr<TokenVerifier> tokens_;
};

// --auth=off: believes "flotilla-user" and lets everyone do everything. INVALID_ARGUMENT where it is malformed.
class Unguarded final : public rpc::Interceptor {
 public:
  absl::Status OnStart(rpc::Call& call) override;
  void OnEnd(const rpc::Call&, const absl::Status&) override {}
};

}  // namespace flotilla::identity
