#include "postgres/rights.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "postgres/test_role.h"

namespace flotilla::postgres {
namespace {

class RightsTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::vector<Migration> migrations = {
        {"001_notes.sql", "CREATE TABLE note (id bigint GENERATED ALWAYS AS IDENTITY, text text, read boolean)"}};
    ASSERT_EQ(Migrate(database_.options(), migrations, absl::Seconds(10)), absl::OkStatus());
  }

  const Rights rights_ = {{"INSERT", "note"}, {"UPDATE (read)", "note"}};
  TestDatabase database_;
};

TEST_F(RightsTest, ARoleMayDoWhatIsListedAndRead) {
  const TestRole role(database_, rights_);
  for (const char* sql : {"SELECT * FROM note", "INSERT INTO note (text) VALUES ('t')", "UPDATE note SET read = true",
                          "SELECT FROM note FOR UPDATE"}) {
    EXPECT_EQ(role.Try(sql), "allowed") << sql;
  }
  for (const char* sql : {"UPDATE note SET text = 'u'", "DELETE FROM note"}) EXPECT_EQ(role.Try(sql), "refused") << sql;
  EXPECT_EQ(role.Liberties(), "");
}

TEST_F(RightsTest, AreGivenAgainAndByManyAtOnce) {
  const TestRole role(database_, {});
  EXPECT_EQ(role.Try("INSERT INTO note (text) VALUES ('t')"), "refused");
  std::vector<std::thread> instances;
  for (int i = 0; i < 8; ++i) {
    instances.emplace_back([&] {
      for (int round = 0; round < 5; ++round) {
        EXPECT_EQ(GrantRights(database_.options(), role.options(), rights_), absl::OkStatus());
      }
    });
  }
  for (auto& instance : instances) instance.join();
  EXPECT_EQ(role.Try("INSERT INTO note (text) VALUES ('t')"), "allowed");
}

TEST_F(RightsTest, OneRoleForBothIsLeftAsItIs) {
  EXPECT_EQ(GrantRights(database_.options(), database_.options(), {{{"INSERT", "no_such_table"}}}), absl::OkStatus());
}

TEST_F(RightsTest, AnObjectThatIsNotThereIsAnError) {
  const TestRole role(database_, {});
  const Rights rights = {{"INSERT", "no_such_table"}};
  EXPECT_EQ(GrantRights(database_.options(), role.options(), rights).code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace flotilla::postgres
