#include "redis/client.h"

#include <random>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "testing/environment.h"

namespace flotilla::redis {
namespace {

class RedisTest : public testing::Test {
 protected:
  void SetUp() override {
    const TestAddress address = TestRedis();
    options.host = address.host;
    options.port = address.port;
    options.connect_timeout = options.command_timeout = absl::Seconds(10);
    prefix = absl::StrCat("redis-test-", std::random_device{}(), ":");
  }
  Options options;
  std::string prefix;
};

TEST_F(RedisTest, PipelinesAndKeepsErrorsApart) {
  Client client(options);
  const std::string key = prefix + "a";
  const std::vector<Command> commands = {{"SET", key, std::string("x\0y", 3)},
                                         {"GET", key},
                                         {"INCR", key},
                                         {"GET", prefix + "none"},
                                         {"LRANGE", key, "0", "1"},
                                         {"DEL", key}};
  const auto replies = client.Pipeline(commands);
  ASSERT_TRUE(replies.ok()) << replies.status();
  EXPECT_EQ((*replies)[0].string(), "OK");
  EXPECT_EQ((*replies)[1].string(), std::string("x\0y", 3));
  EXPECT_TRUE((*replies)[2].error());
  EXPECT_TRUE((*replies)[3].nil());
  EXPECT_TRUE((*replies)[4].error());
  EXPECT_EQ((*replies)[5].integer(), 1);
  EXPECT_EQ(client.run_id().size(), 40u);
}

TEST_F(RedisTest, ScriptsAreLoadedWhereTheyAreMissing) {
  Client client(options);
  const Script script(
      absl::StrCat("-- ", prefix, "\nredis.call('INCRBY', KEYS[1], ARGV[1]) return {KEYS[1], ARGV[1]}"));
  const std::string key = prefix + "n";
  const std::vector<Client::Invocation> calls = {{{key}, {"1"}}, {{key}, {"10"}}, {{key}, {"100"}}};
  for (int round = 0; round < 2; ++round) {
    const auto replies = client.Eval(script, calls);
    ASSERT_TRUE(replies.ok()) << replies.status();
    EXPECT_EQ((*replies)[2].array()[1].string(), "100");
    ASSERT_TRUE(client.Run({"SCRIPT", "FLUSH"}).ok());
  }
  EXPECT_EQ(client.Run({"GET", key})->string(), "222") << "each ran once a round";
  ASSERT_TRUE(client.Run({"DEL", key}).ok());
}

TEST_F(RedisTest, AConnectionThatWasCutIsReplaced) {
  Client client(options), killer(options);
  const auto id = client.Run({"CLIENT", "ID"});
  ASSERT_TRUE(id.ok()) << id.status();
  ASSERT_TRUE(killer.Run({"CLIENT", "KILL", "ID", std::to_string(id->integer())}).ok());
  EXPECT_EQ(client.Run({"PING"}).status().code(), absl::StatusCode::kUnavailable);
  const auto again = client.Run({"PING"});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->string(), "PONG");
}

TEST_F(RedisTest, NobodyThereIsRefusedAtOnce) {
  options.port = 1;
  Client client(options);
  EXPECT_EQ(client.Run({"PING"}).status().code(), absl::StatusCode::kUnavailable);
  const absl::Time start = absl::Now();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(client.Run({"PING"}).status().code(), absl::StatusCode::kUnavailable);
    if (absl::Now() - start > absl::Seconds(5)) FAIL() << "too slow";
  }
}

TEST_F(RedisTest, ASlowServerTimesOut) {
  options.command_timeout = absl::Milliseconds(50);
  Client client(options);
  EXPECT_EQ(client.Run({"BLPOP", prefix + "never", "2"}).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace flotilla::redis
