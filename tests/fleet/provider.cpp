#include "fleet/provider.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <random>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace flotilla::fleet {
namespace {

// On its own, not by the service's code: they must agree by the contract.
std::string Sign(const std::string& secret, const std::string& text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(), &size);
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest.data()), size});
}

std::string ReasonOf(const Result& result) {
  if (result.status.ok()) return "";
  return result.reason.empty() ? absl::StrCat("code ", result.status.error_code()) : result.reason;
}

}  // namespace

std::string Provider::Send(const Callback& callback) { return ReasonOf(Call(callback, secret_)); }

std::string Provider::Forge(const Callback& callback) { return ReasonOf(Call(callback, secret_ + "?")); }

Result Provider::Call(const Callback& callback, const std::string& secret) {
  payment::v1::HandleCallbackRequest request;
  request.set_body(absl::StrCat(R"({"event_id":")", callback.event_id, R"(","reference":")", callback.reference,
                                R"(","status":")", callback.succeeded ? "succeeded" : "failed", R"(","amount":)",
                                callback.amount, R"(,"currency":")", callback.currency, R"("})"));
  request.set_timestamp(absl::StrCat(absl::ToUnixSeconds(absl::Now() - callback.age)));
  request.set_signature(Sign(secret, request.timestamp() + "." + request.body()));
  payment::v1::HandleCallbackResponse response;
  return fleet::Call(*payments_, &payment::v1::PaymentService::Stub::HandleCallback, "", request, &response);
}

void Provider::Book(payment::v1::ProviderKind kind, const std::string& reference, std::int64_t amount) {
  absl::StrAppend(&booked_, reference, kind == payment::v1::PROVIDER_KIND_CHARGE ? ",charge," : ",refund,", amount,
                  ",EUR,", absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::UTCTimeZone()), "\n");
}

std::string Provider::Statement() const { return "provider_reference,kind,amount,currency,time\n" + booked_; }

std::string Provider::Storm(const std::string& reference, std::int64_t amount, unsigned seed) {
  Book(payment::v1::PROVIDER_KIND_CHARGE, reference, amount);
  std::minstd_rand random(seed);
  const Callback word{.event_id = "evt-" + reference, .reference = reference, .amount = amount};
  Callback other = word;
  other.event_id += "-again";
  Callback contradiction = word;
  contradiction.event_id += "-no";
  contradiction.succeeded = false;
  Callback stale = contradiction;
  stale.age = absl::Minutes(6);
  Callback wrong = word;
  wrong.event_id += "-wrong";
  wrong.amount += 1;
  bool spoken = false;
  for (int i = 0; i < 12 || !spoken; ++i) {
    switch (random() % 6) {
      case 0:
        Forge(contradiction);
        break;
      case 1:
        Send(stale);
        break;
      case 2:
        Send(wrong);
        break;
      case 3:
        if (spoken) Send(contradiction);
        break;
      default: {
        // A provider repeats itself until it is heard.
        const std::string refused = Send(random() % 2 == 0 ? word : other);
        if (refused == "MALFORMED_CALLBACK" || refused == "UNKNOWN_REFERENCE") return refused;
        if (refused.empty()) spoken = true;
      }
    }
  }
  return "";
}

}  // namespace flotilla::fleet
