#include "identity/key_file.h"

#include <filesystem>
#include <fstream>
#include <random>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "identity/signer.h"
#include "testing/eventually.h"

namespace flotilla::identity {
namespace {

using testing::HasSubstr;

class KeyFileTest : public testing::Test {
 protected:
  KeyFileTest() : path_(testing::TempDir() + absl::StrCat("keys-", std::random_device{}())) {}
  ~KeyFileTest() override { std::filesystem::remove(path_); }
  void Write(const std::string& text) const { std::ofstream(path_, std::ios::trunc) << text; }
  static std::string Set(const std::string& kid) {
    return absl::StrCat(R"({"keys":[)", Signer::Make(Algorithm::kEs256, kid).Jwk(), "]}");
  }
  const std::string path_;
};

TEST_F(KeyFileTest, AFileThatIsMissingOrMalformedIsNamed) {
  EXPECT_THAT(std::string(KeyFile::Open(path_).status().message()), HasSubstr(path_));
  Write("{");
  EXPECT_THAT(std::string(KeyFile::Open(path_).status().message()), HasSubstr("JSON"));
  Write(std::string(300 << 10, ' '));
  EXPECT_THAT(std::string(KeyFile::Open(path_).status().message()), HasSubstr("larger"));
}

TEST_F(KeyFileTest, AChangedFileIsTakenUpAndABadOneIsNot) {
  Write(Set("first"));
  const auto file = KeyFile::Open(path_, absl::Milliseconds(5));
  ASSERT_TRUE(file.ok()) << file.status();
  const auto has = [&](const char* kid) { return (*file)->keys()->Find(kid) != nullptr; };
  EXPECT_TRUE(has("first"));
  Write(Set("second"));
  EXPECT_TRUE(Eventually([&] { return has("second"); }));
  EXPECT_FALSE(has("first"));
  Write("{}");
  absl::SleepFor(absl::Milliseconds(50));
  EXPECT_TRUE(has("second"));
  std::filesystem::remove(path_);
  absl::SleepFor(absl::Milliseconds(50));
  EXPECT_TRUE(has("second"));
  Write(Set("third"));
  EXPECT_TRUE(Eventually([&] { return has("third"); }));
}

}  // namespace
}  // namespace flotilla::identity
