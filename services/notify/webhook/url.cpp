#include "notify/webhook/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>

#include <algorithm>
#include <memory>

#include "absl/strings/match.h"
#include "errors/errors.h"
#include "notify/webhook/address.h"

namespace flotilla::notify {
namespace {

constexpr std::size_t kMaxUrl = 2048;

absl::Status Bad(const char* rule) { return errors::InvalidField("url", rule); }

// libcurl's own parser, so that both understand a URL alike; it also turns 0x7f.1 into 127.0.0.1.
class Url {
 public:
  Url() : handle_(curl_url(), curl_url_cleanup) {}
  bool Parse(const std::string& text) {
    return curl_url_set(handle_.get(), CURLUPART_URL, text.c_str(), CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK;
  }
  // Empty where there is none.
  std::string Part(CURLUPart part) const {
    char* raw = nullptr;
    if (curl_url_get(handle_.get(), part, &raw, 0) != CURLUE_OK) return "";
    const std::unique_ptr<char, decltype(&curl_free)> text(raw, curl_free);
    return text.get();
  }

 private:
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> handle_;
};

// True where the host is an address that is not public.
bool IsForbiddenAddress(std::string host) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  // In all its forms ("0x7f.1"): libcurl turns them into four numbers, but not where a dot follows.
  if (inet_aton(host.c_str(), &v4.sin_addr) != 0) return !IsPublic(reinterpret_cast<const sockaddr&>(v4));
  if (!host.starts_with('[') || !host.ends_with(']')) return false;
  host = host.substr(1, host.size() - 2);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  return inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) != 1 || !IsPublic(reinterpret_cast<const sockaddr&>(v6));
}

}  // namespace

absl::Status CheckUrl(const std::string& url, bool allow_private) {
  if (url.empty() || url.size() > kMaxUrl) return Bad("must be 1 to 2048 characters");
  if (!std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < 0x7f; })) {
    return Bad("must be printable ASCII without spaces");
  }
  Url parsed;
  if (!parsed.Parse(url)) return Bad("must be a URL, as in https://example.com/hook");
  const std::string scheme = parsed.Part(CURLUPART_SCHEME);
  std::string host = parsed.Part(CURLUPART_HOST);
  if (host.ends_with('.')) host.pop_back();  // the root's: the same name or address
  if (scheme != "https" && !(allow_private && scheme == "http")) return Bad("must begin with https://");
  if (host.empty()) return Bad("must name a host");
  if (!parsed.Part(CURLUPART_USER).empty() || !parsed.Part(CURLUPART_PASSWORD).empty()) {
    return Bad("must not carry a user or a password; requests are signed");
  }
  if (!parsed.Part(CURLUPART_FRAGMENT).empty()) return Bad("must not have a fragment");
  if (allow_private) return absl::OkStatus();
  if (IsForbiddenAddress(host) || absl::EqualsIgnoreCase(host, "localhost") ||
      absl::EndsWithIgnoreCase(host, ".localhost")) {
    return Bad("must not lead to a private address");
  }
  return absl::OkStatus();
}

}  // namespace flotilla::notify
