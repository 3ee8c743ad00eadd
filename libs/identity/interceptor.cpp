#include "identity/interceptor.h"

#include <string>

#include "absl/strings/match.h"
#include "errors/errors.h"
#include "identity/audit.h"
#include "identity/policy.h"
#include "identity/tls.h"
#include "validation/validation.h"

namespace flotilla::identity {
namespace {

constexpr char kAuthorization[] = "authorization";
constexpr char kUserKey[] = "flotilla-user";
constexpr absl::string_view kScheme = "Bearer ";

absl::Status Unauthenticated(const char* reason, const char* message) {
  return errors::Make(absl::StatusCode::kUnauthenticated, reason, message);
}

// "" where the call has none.
absl::StatusOr<absl::string_view> TokenOf(const rpc::Call& call) {
  const auto [first, last] = call.context->client_metadata().equal_range(kAuthorization);
  if (first == last) return absl::string_view();
  // Whoever stands between us and the client may have looked at another one.
  if (std::next(first) != last) return Unauthenticated("INVALID_TOKEN", "there are several authorization headers");
  const absl::string_view value(first->second.data(), first->second.size());
  if (!absl::StartsWithIgnoreCase(value, kScheme)) {
    return Unauthenticated("INVALID_TOKEN", "the authorization header must read \"Bearer <token>\"");
  }
  return value.substr(kScheme.size());
}

// The address without its port.
std::string PeerOf(const rpc::Call& call) {
  std::string peer = call.context->peer();
  return peer.substr(0, peer.rfind(':'));
}

absl::Status TakeUserByName(rpc::Call& call) {
  const std::string user(call.Metadata(kUserKey));
  if (user.empty()) return absl::OkStatus();
  if (!validation::IsName(user)) return errors::InvalidField(kUserKey, validation::kNameRule);
  call.user_id = user;
  return absl::OkStatus();
}

absl::Status Forbidden(const Access& access) {
  if (access.users == Users::kOperators) {
    return errors::Make(absl::StatusCode::kPermissionDenied, "NOT_AN_OPERATOR", "only operators may do this");
  }
  return errors::Make(absl::StatusCode::kPermissionDenied, "NOT_ALLOWED", "the caller may not call this method");
}

}  // namespace

absl::Status Guard::OnStart(rpc::Call& call) {
  const Access* access = FindAccess({call.method.data(), call.method.size()});
  if (access == nullptr) return Forbidden({});
  if (access->open) return absl::OkStatus();

  const absl::StatusOr<absl::string_view> token = TokenOf(call);
  if (!token.ok()) return token.status();
  if (!token->empty()) {
    // A wrong token is refused whoever brings it.
    absl::StatusOr<Claims> claims = tokens_->Verify(*token, [&call] { return PeerOf(call); }, call.start);
    if (!claims.ok()) {
      if (absl::IsResourceExhausted(claims.status())) CallsRefused(errors::Reason(claims.status())).Increment();
      return claims.status();
    }
    call.user_id = std::move(claims->user);
    if (access->users == Users::kAll || (access->users == Users::kOperators && claims->is_operator)) {
      call.for_any_user = claims->is_operator;
      call.expires = claims->expires;
      return absl::OkStatus();
    }
    return Forbidden(*access);
  }

  const std::string service = PeerService(*call.context->auth_context());
  if (!service.empty() && service == access->service) {
    call.for_any_user = true;
    call.from_service = true;
    return TakeUserByName(call);
  }
  if (!service.empty()) return Forbidden(*access);
  return Unauthenticated("NO_CREDENTIALS", "the call carries neither a token nor a service's certificate");
}

absl::Status Unguarded::OnStart(rpc::Call& call) {
  call.for_any_user = true;
  if (auto status = TakeUserByName(call); !status.ok()) return status;
  call.from_service = call.user_id.empty();
  return absl::OkStatus();
}

}  // namespace flotilla::identity
