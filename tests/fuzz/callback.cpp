// The external provider's callbacks: as they come; and signed by it, so that their body is read too.
#include "payment/api/callback.h"

#include "fuzz/fuzz.h"

namespace flotilla::payment {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'790'000'000);
constexpr char kTimestamp[] = "1790000000";

absl::Status Verify(const v1::HandleCallbackRequest& request, bool ours) {
  static const CallbackVerifier& verifier = *new CallbackVerifier({"one", "two"});
  const absl::StatusOr<CallbackCommand> command = verifier.Verify(request, kNow);
  if (command.ok()) {
    fuzz::Require(ours, "nobody else signs like the provider");
    fuzz::Require(command->amount.minor_units > 0 && command->amount.minor_units <= kMaxAmount, "an amount is money");
    fuzz::Require(!command->event_id.empty() && !command->reference.empty(), "it says what it is about");
  }
  return command.status();
}

void Run(std::string_view input) {
  if (fuzz::TakeChoice(input, 2) == 0) {
    return fuzz::Handle<v1::HandleCallbackRequest>(input, [](const auto& request) { return Verify(request, false); });
  }
  v1::HandleCallbackRequest request;
  request.set_timestamp(kTimestamp);
  request.set_body(std::string(input));
  request.set_signature(SignCallback("two", kTimestamp, input));
  fuzz::RequireRefusal(Verify(request, true));
}

}  // namespace
}  // namespace flotilla::payment

FLOTILLA_FUZZ(flotilla::payment::Run)
