// URLs that users give for their webhooks.
#include "fuzz/fuzz.h"
#include "notify/webhook/url.h"

namespace flotilla::notify {
namespace {

void Run(std::string_view input) {
  const std::string url(input);
  const absl::Status strict = CheckUrl(url, false), loose = CheckUrl(url, true);
  fuzz::RequireRefusal(strict);
  fuzz::RequireRefusal(loose);
  fuzz::Require(loose.ok() || !strict.ok(), "what is public is allowed where private ones are too");
  if (strict.ok()) {
    for (const char* private_one : {"//127.", "//10.", "//[::1]", "//localhost/", "//169.254."}) {
      fuzz::Require(url.find(std::string("https:") + private_one) != 0, "it does not lead to a private address");
    }
  }
}

}  // namespace
}  // namespace flotilla::notify

FLOTILLA_FUZZ(flotilla::notify::Run)
