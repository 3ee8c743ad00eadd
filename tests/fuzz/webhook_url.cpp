// URLs that users give for their webhooks.
#include <arpa/inet.h>
#include <netinet/in.h>

#include "absl/strings/match.h"
#include "fuzz/fuzz.h"
#include "notify/webhook/address.h"
#include "notify/webhook/url.h"

namespace flotilla::notify {
namespace {

void Run(std::string_view input) {
  const std::string url(input);
  const absl::Status strict = CheckUrl(url, false), loose = CheckUrl(url, true);
  fuzz::RequireRefusal(strict);
  fuzz::RequireRefusal(loose);
  fuzz::Require(loose.ok() || !strict.ok(), "what is public is allowed where private ones are too");
  if (!strict.ok() || !url.starts_with("https://")) return;
  // By the letter, whatever libcurl makes of it.
  std::string host = url.substr(0, url.find_first_of("/?#", 8)).substr(8);
  if (!host.starts_with('[')) host = host.substr(0, host.find(':'));
  if (host.ends_with('.')) host.pop_back();
  fuzz::Require(!absl::EqualsIgnoreCase(host, "localhost"), "it does not lead here");
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  if (inet_aton(host.c_str(), &v4.sin_addr) == 0) return;
  fuzz::Require(IsPublic(reinterpret_cast<const sockaddr&>(v4)), "nor to a private address");
}

}  // namespace
}  // namespace flotilla::notify

FLOTILLA_FUZZ(flotilla::notify::Run)
