#include "notify/webhook/url.h"

#include "errors/errors.h"
#include "gtest/gtest.h"

namespace flotilla::notify {
namespace {

TEST(Url, TheForm) {
  for (const char* good :
       {"https://example.com", "https://example.com:8443/a/b?c=d", "HTTPS://1.1.1.1/", "https://[2606:4700::1111]/x"}) {
    EXPECT_TRUE(CheckUrl(good, false).ok()) << good << ": " << CheckUrl(good, false);
  }
  const std::string long_url = "https://example.com/" + std::string(2048, 'x');
  for (const char* bad : {"",
                          "example.com",
                          "ftp://example.com",
                          "file:///etc/passwd",
                          "http://example.com",
                          "https://",
                          "https://a b/",
                          "https://user:word@example.com/",
                          "https://user@example.com/",
                          "https://example.com/#top",
                          "https://ex\xc3\xa4/",
                          "https://127.0.0.1/",
                          "https://2130706433/",
                          "https://0x7f.1/",
                          "https://localhost:1/",
                          "https://a.localhost/",
                          "https://127.0.0.1./",
                          "https://0x7f.1./",
                          "https://localhost./",
                          "https://[::1]/",
                          "https://[::ffff:10.0.0.1]/",
                          "https://[fe80::1%25eth0]/",
                          "https://169.254.169.254/latest",
                          long_url.c_str()}) {
    const absl::Status status = CheckUrl(bad, false);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_EQ(errors::Reason(status), "INVALID_FIELD") << bad;
  }
}

TEST(Url, PrivateOnesWhereAllowed) {
  EXPECT_TRUE(CheckUrl("http://127.0.0.1:8080/hook", true).ok());
  EXPECT_FALSE(CheckUrl("ftp://127.0.0.1/", true).ok());
  EXPECT_FALSE(CheckUrl("http://user@127.0.0.1/", true).ok());
}

}  // namespace
}  // namespace flotilla::notify
