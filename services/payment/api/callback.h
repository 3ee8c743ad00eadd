// The external provider's signed calls.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "flotilla/payment/v1/payment_service.pb.h"
#include "payment/domain/action.h"

namespace flotilla::payment {

inline constexpr absl::Duration kCallbackWindow = absl::Seconds(300);
inline constexpr std::size_t kMaxCallbackBody = 65536;  // bytes

// HMAC-SHA256 over "<timestamp>.<body>" with the secret, in lower-case hexadecimal.
std::string SignCallback(std::string_view secret, std::string_view timestamp, std::string_view body);

class CallbackVerifier {
 public:
  // One or two live secrets, so that they can be rotated. None: every call is refused.
  explicit CallbackVerifier(std::vector<std::string> secrets) : secrets_(std::move(secrets)) {}

  // What the provider says, once it is known to be the provider. UNAUTHENTICATED (BAD_SIGNATURE, STALE_TIMESTAMP),
  // INVALID_ARGUMENT (MALFORMED_CALLBACK, INVALID_FIELD).
  absl::StatusOr<CallbackCommand> Verify(const v1::HandleCallbackRequest& request, absl::Time now) const;

 private:
  const std::vector<std::string> secrets_;
};

}  // namespace flotilla::payment
