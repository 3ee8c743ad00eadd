#include "payment/api/callback.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "errors/errors.h"
#include "validation/validation.h"

namespace flotilla::payment {
namespace {

absl::Status BadSignature() {
  return errors::Make(absl::StatusCode::kUnauthenticated, "BAD_SIGNATURE", "the signature is not the provider's");
}

absl::Status Malformed(absl::string_view what) {
  return errors::Make(absl::StatusCode::kInvalidArgument, "MALFORMED_CALLBACK", absl::StrCat("body: ", what));
}

// Whole and exact in a double: the only numbers that JSON carries safely.
bool IsWhole(double number) {
  return number >= 1 && number <= static_cast<double>(kMaxAmount) &&
         number == static_cast<double>(static_cast<std::int64_t>(number));
}

absl::StatusOr<CallbackCommand> ParseBody(const std::string& body) {
  google::protobuf::Struct object;
  if (!google::protobuf::util::JsonStringToMessage(body, &object).ok()) return Malformed("is not a JSON object");
  const auto text = [&](const char* name) -> std::string {
    const auto it = object.fields().find(name);
    return it == object.fields().end() ? "" : it->second.string_value();
  };
  CallbackCommand command;
  command.event_id = text("event_id");
  command.reference = text("reference");
  const std::string status = text("status");
  const auto amount = object.fields().find("amount");
  if (!validation::IsKey(command.event_id)) return Malformed("event_id must be 1 to 64 printable ASCII characters");
  if (!validation::IsKey(command.reference)) return Malformed("reference must be 1 to 64 printable ASCII characters");
  if (status != "succeeded" && status != "failed") return Malformed("status must be \"succeeded\" or \"failed\"");
  if (amount == object.fields().end() || !IsWhole(amount->second.number_value())) {
    return Malformed("amount must be a whole number of minor units, 1 to 10^15");
  }
  command.succeeded = status == "succeeded";
  command.amount = {text("currency"), static_cast<std::int64_t>(amount->second.number_value())};
  if (!validation::IsCurrency(command.amount.currency)) return Malformed("currency must be an ISO 4217 code");
  return command;
}

}  // namespace

std::string SignCallback(std::string_view secret, std::string_view timestamp, std::string_view body) {
  std::string text(timestamp);
  text.append(".").append(body);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(), &size);
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest.data()), size});
}

absl::StatusOr<CallbackCommand> CallbackVerifier::Verify(const v1::HandleCallbackRequest& request,
                                                         absl::Time now) const {
  if (request.body().empty() || request.body().size() > kMaxCallbackBody) {
    return errors::InvalidField("body", "must be 1 byte to 64 KiB");
  }
  std::int64_t seconds = 0;
  if (!absl::SimpleAtoi(request.timestamp(), &seconds)) {
    return errors::InvalidField("timestamp", "must be seconds since the epoch, decimal");
  }
  const std::string given = absl::AsciiStrToLower(request.signature());
  bool signed_by_one = false;
  for (const std::string& secret : secrets_) {
    const std::string expected = SignCallback(secret, request.timestamp(), request.body());
    // In constant time: how much of a guess was right must not show. All secrets are tried, whichever fits.
    signed_by_one |=
        given.size() == expected.size() && CRYPTO_memcmp(given.data(), expected.data(), expected.size()) == 0;
  }
  if (!signed_by_one) return BadSignature();
  if (absl::AbsDuration(now - absl::FromUnixSeconds(seconds)) > kCallbackWindow) {
    return errors::Make(absl::StatusCode::kUnauthenticated, "STALE_TIMESTAMP", "the timestamp is more than 300 s off");
  }
  return ParseBody(request.body());
}

}  // namespace flotilla::payment
