#include "identity/token.h"

#include <cmath>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "async/steady_time.h"
#include "errors/errors.h"
#include "identity/json.h"
#include "validation/validation.h"

namespace flotilla::identity {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

constexpr char kOperatorRole[] = "operator";
constexpr double kLastSecond = 253402300799;  // of the year 9999

absl::Status Invalid(absl::string_view why) {
  return errors::Make(absl::StatusCode::kUnauthenticated, "INVALID_TOKEN", absl::StrCat("the token ", why));
}

absl::Status Expired() {
  return errors::Make(absl::StatusCode::kUnauthenticated, "TOKEN_EXPIRED", "the token has expired");
}

// True where a claim is the text or a list that holds it.
bool IsOrHolds(const Struct& claims, const char* claim, absl::string_view text) {
  const auto found = claims.fields().find(claim);
  if (found == claims.fields().end()) return false;
  if (found->second.kind_case() == Value::kStringValue) return found->second.string_value() == text;
  for (const Value& value : found->second.list_value().values()) {
    if (value.kind_case() == Value::kStringValue && value.string_value() == text) return true;
  }
  return false;
}

// A NumericDate (RFC 7519).
bool ReadTime(const Struct& claims, const char* claim, absl::Time* out) {
  const auto found = claims.fields().find(claim);
  if (found == claims.fields().end() || found->second.kind_case() != Value::kNumberValue) return false;
  const double seconds = found->second.number_value();
  if (!(seconds >= 0 && seconds <= kLastSecond)) return false;
  *out = absl::FromUnixMillis(static_cast<std::int64_t>(seconds * 1000));
  return true;
}

// The key that the header names. What the header says of the algorithm can only contradict it.
absl::StatusOr<const Key*> FindKey(absl::string_view text, const KeySet& keys) {
  std::string json;
  if (!DecodeBase64Url(text, &json)) return Invalid("has a malformed header");
  const absl::StatusOr<Struct> header = ParseObject(json);
  if (!header.ok()) return Invalid("has a malformed header");
  // Extensions that must be understood; we understand none (RFC 7515, 4.1.11; RFC 7797).
  if (header->fields().contains("crit") || header->fields().contains("b64")) return Invalid("has unknown extensions");
  const Key* key = keys.Find(Text(*header, "kid"));
  if (key == nullptr) return Invalid("is not signed by a known key");
  if (Text(*header, "alg") != Name(key->algorithm())) return Invalid("is not signed with its key's algorithm");
  return key;
}

}  // namespace

TokenVerifier::TokenVerifier(Options options, Keys keys)
    : options_(std::move(options)), keys_(std::move(keys)), cache_(options_.cached), forged_(options_.peers) {}

absl::StatusOr<Claims> TokenVerifier::Verify(absl::string_view token, absl::FunctionRef<std::string()> peer,
                                             absl::Time now) {
  if (token.empty() || token.size() > options_.max_bytes) return Invalid("is empty or too long");
  const std::shared_ptr<const KeySet> keys = keys_();
  const TokenCache::Digest digest = TokenCache::DigestOf(token);
  absl::StatusOr<Claims> claims;
  if (std::optional<Claims> known = cache_.Find(digest, keys)) {
    claims = *std::move(known);
  } else {
    const std::uint64_t from = absl::HashOf(peer());
    const async::SteadyTime steady = async::SteadyNow();
    if (const auto wait = forged_.Wait(from, options_.forged, steady); wait > absl::ZeroDuration()) {
      return errors::WithRetryDelay(errors::Make(absl::StatusCode::kResourceExhausted, "TOO_MANY_BAD_TOKENS",
                                                 "too many invalid tokens come from this address"),
                                    wait);
    }
    claims = VerifyNew(token, *keys, now);
    if (!claims.ok()) {
      forged_.Take(from, options_.forged, steady);
      return claims;
    }
    cache_.Add(digest, *claims, keys);  // an expired one, too: it is no forgery, and comes again
  }
  if (now >= claims->expires) return Expired();
  return claims;
}

absl::StatusOr<Claims> TokenVerifier::VerifyNew(absl::string_view token, const KeySet& keys, absl::Time now) const {
  const std::vector<absl::string_view> parts = absl::StrSplit(token, '.');
  if (parts.size() != 3) return Invalid("does not have three parts");
  const absl::StatusOr<const Key*> key = FindKey(parts[0], keys);
  if (!key.ok()) return key.status();
  std::string signature, json;
  if (!DecodeBase64Url(parts[2], &signature)) return Invalid("has a malformed signature");
  if (!(*key)->Verifies(token.substr(0, parts[0].size() + 1 + parts[1].size()), signature)) {
    return Invalid("has a wrong signature");
  }
  // What follows is the issuer's word.
  if (!DecodeBase64Url(parts[1], &json)) return Invalid("has malformed claims");
  const absl::StatusOr<Struct> object = ParseObject(json);
  if (!object.ok()) return Invalid("has malformed claims");
  if (Text(*object, "iss") != options_.issuer) return Invalid("is of another issuer");
  if (!IsOrHolds(*object, "aud", options_.audience)) return Invalid("is for another audience");
  absl::Time expires, not_before = absl::InfinitePast();
  if (!ReadTime(*object, "exp", &expires)) return Invalid("has no valid exp");
  if (object->fields().contains("nbf") && !ReadTime(*object, "nbf", &not_before)) return Invalid("has no valid nbf");
  if (now < not_before - options_.leeway) return Invalid("is not valid yet");
  Claims claims;
  claims.user = Text(*object, "sub");
  claims.is_operator = IsOrHolds(*object, "roles", kOperatorRole);
  claims.expires = expires + options_.leeway;
  if (!validation::IsName(claims.user))
    return Invalid(absl::StrCat("has a sub that is no user: it ", validation::kNameRule));
  return claims;
}

}  // namespace flotilla::identity
