// Users' tokens: as they come; and with our signature, so that what the issuer says is read too.
#include "identity/token.h"

#include "absl/strings/str_cat.h"
#include "fuzz/fuzz.h"
#include "identity/signer.h"
#include "validation/validation.h"

namespace flotilla::identity {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'790'000'000);
constexpr char kSecret[] = "0123456789abcdef0123456789abcdef";

std::string Peer() { return "peer"; }

struct World {
  Signer signer = Signer::FromSecret(kSecret, "h");
  Signer other = Signer::Make(Algorithm::kEs256, "e");
  std::shared_ptr<const KeySet> keys =
      *KeySet::Parse(absl::StrCat(R"({"keys":[)", signer.Jwk(), ",", other.Jwk(), "]}"));
};

void Run(std::string_view input) {
  static const World& world = *new World;
  TokenVerifier verifier({.issuer = "issuer", .audience = "flotilla", .cached = 4, .peers = 4},
                         [] { return world.keys; });
  std::string token;
  switch (fuzz::TakeChoice(input, 3)) {
    case 0:
      token = std::string(input);
      break;
    case 1:
      token = world.signer.Sign({input.data(), input.size()});
      break;
    default: {  // a header of the client's own, over good claims
      token = world.signer.Sign({input.data(), input.size()},
                                R"({"iss":"issuer","aud":"flotilla","sub":"user","exp":1790000100})");
      break;
    }
  }
  const absl::StatusOr<Claims> claims = verifier.Verify(token, Peer, kNow);
  fuzz::RequireRefusal(claims.status());
  if (!claims.ok()) return;
  fuzz::Require(validation::IsName(claims->user), "a user has a name");
  fuzz::Require(claims->expires > kNow, "it has not expired");
  const absl::StatusOr<Claims> again = verifier.Verify(token, Peer, kNow);  // from the cache
  fuzz::Require(again.ok() && again->user == claims->user && again->is_operator == claims->is_operator,
                "the second look says the same");
}

}  // namespace
}  // namespace flotilla::identity

FLOTILLA_FUZZ(flotilla::identity::Run)
