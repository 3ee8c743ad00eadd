#include "config/secret.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"

namespace flotilla::config {
namespace {

TEST(ReadSecret, IsTheFilesFirstLine) {
  const std::string path = testing::TempDir() + "secret-" + std::to_string(getpid());
  std::ofstream(path) << "open sesame\nmore\n";
  const auto secret = ReadSecret("key_file", path);
  ASSERT_TRUE(secret.ok()) << secret.status();
  EXPECT_EQ(*secret, "open sesame");
  std::ofstream(path, std::ios::trunc) << "\nmore\n";
  EXPECT_EQ(ReadSecret("key_file", path).status().code(), absl::StatusCode::kInvalidArgument);
  std::filesystem::remove(path);
  const absl::Status missing = ReadSecret("key_file", path).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(missing.message().find("--key_file"), absl::string_view::npos) << missing;
}

TEST(ReadSecret, NoPathIsNoSecret) {
  const auto secret = ReadSecret("key_file", "");
  ASSERT_TRUE(secret.ok()) << secret.status();
  EXPECT_EQ(*secret, "");
}

}  // namespace
}  // namespace flotilla::config
