#include "config/config.h"

#include <cstdlib>
#include <fstream>

#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "gtest/gtest.h"

ABSL_FLAG(int, test_number, 1, "A number.");
ABSL_FLAG(std::string, test_text, "", "A text.");

namespace flotilla::config {
namespace {

class Config : public testing::Test {
 protected:
  ~Config() override {
    unsetenv("FLOTILLA_TEST_NUMBER");
    unsetenv("FLOTILLA_FLAGFILE");
  }
  static absl::Status Run(std::vector<std::string> args) {
    args.insert(args.begin(), "program");
    std::vector<char*> argv;
    for (auto& arg : args) argv.push_back(arg.data());
    return Parse(static_cast<int>(argv.size()), argv.data());
  }
  static std::string File(const std::string& text) {
    const std::string path = testing::TempDir() + "/flags";
    std::ofstream(path) << text;
    return path;
  }
  absl::FlagSaver saver_;
};

TEST_F(Config, CommandLineBeatsEnvironmentBeatsFile) {
  const std::string file = "--flagfile=" + File("# comment\n\n--test_number=2\n  --test_text=a=b\n");
  ASSERT_TRUE(Run({file}).ok());
  EXPECT_EQ(absl::GetFlag(FLAGS_test_number), 2);
  EXPECT_EQ(absl::GetFlag(FLAGS_test_text), "a=b");
  setenv("FLOTILLA_TEST_NUMBER", "3", 1);
  ASSERT_TRUE(Run({file}).ok());
  EXPECT_EQ(absl::GetFlag(FLAGS_test_number), 3);
  ASSERT_TRUE(Run({"--test_number=4", file}).ok());
  EXPECT_EQ(absl::GetFlag(FLAGS_test_number), 4);
}

TEST_F(Config, TheFileStaysBelowTheEnvironmentHoweverItIsNamed) {
  const std::string file = File("--test_number=2\n--test_text=file\n");
  setenv("FLOTILLA_TEST_NUMBER", "3", 1);
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"--flagfile", file}, {"-flagfile=" + file}, {"-flagfile", file}}) {
    absl::FlagSaver each;
    ASSERT_TRUE(Run(args).ok()) << args[0];
    EXPECT_EQ(absl::GetFlag(FLAGS_test_number), 3) << args[0];
    EXPECT_EQ(absl::GetFlag(FLAGS_test_text), "file") << args[0];
  }
  setenv("FLOTILLA_FLAGFILE", file.c_str(), 1);
  ASSERT_TRUE(Run({}).ok());
  EXPECT_EQ(absl::GetFlag(FLAGS_test_number), 3);
  EXPECT_EQ(absl::GetFlag(FLAGS_test_text), "file");
}

TEST_F(Config, ErrorsNameWhatIsWrong) {
  setenv("FLOTILLA_TEST_NUMBER", "many", 1);
  EXPECT_NE(Run({}).message().find("FLOTILLA_TEST_NUMBER"), absl::string_view::npos);
  unsetenv("FLOTILLA_TEST_NUMBER");
  EXPECT_NE(Run({"--flagfile=" + File("--test_text=x\n--nosuch=1\n")}).message().find(":2: there is no flag --nosuch"),
            absl::string_view::npos);
  EXPECT_NE(Run({"--flagfile=" + File("test_text\n")}).message().find(":1: expected"), absl::string_view::npos);
  EXPECT_NE(Run({"--flagfile=/nonexistent"}).message().find("/nonexistent"), absl::string_view::npos);
  EXPECT_NE(Run({"--flagfile"}).message().find("--flagfile"), absl::string_view::npos);
  EXPECT_NE(Run({"--flagfile=" + File("--flagfile=other\n")}).message().find(":1: --flagfile"),
            absl::string_view::npos);
  EXPECT_NE(Run({"stray"}).message().find("stray"), absl::string_view::npos);
  EXPECT_EXIT(Run({"--nosuch=1"}).IgnoreError(), testing::ExitedWithCode(1), "nosuch");
}

}  // namespace
}  // namespace flotilla::config
