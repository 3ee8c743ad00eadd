#include "events/broadcast.h"

#include <cstdlib>
#include <mutex>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "testing/eventually.h"

namespace flotilla::events {
namespace {

class Heard {
 public:
  void Add(std::span<const std::string> words) {
    std::lock_guard lock(mutex_);
    words_.insert(words.begin(), words.end());
  }
  std::multiset<std::string> words() {
    std::lock_guard lock(mutex_);
    return words_;
  }

 private:
  std::mutex mutex_;
  std::multiset<std::string> words_;
};

TEST(Broadcast, OthersHearOneDoesNot) {
  ASSERT_NE(std::getenv("FLOTILLA_TEST_NATS"), nullptr);
  const NatsOptions nats{.url = std::getenv("FLOTILLA_TEST_NATS")};
  const std::string subject = absl::StrCat("test.broadcast.", absl::ToUnixMicros(absl::Now()));
  Heard by_one, by_two;
  Broadcast one(nats, subject, [&](auto words) { by_one.Add(words); });
  Broadcast two(nats, subject, [&](auto words) { by_two.Add(words); });
  // Until both are subscribed words may be lost.
  int tries = 0;
  ASSERT_TRUE(Eventually([&] {
    one.Say(absl::StrCat("hello", tries++));
    two.Say("there");
    return !by_one.words().empty() && !by_two.words().empty();
  }));
  for (int i = 0; i < 1000; ++i) one.Say(absl::StrCat("w", i));
  EXPECT_TRUE(Eventually([&] { return by_two.words().contains("w999"); }));
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(by_two.words().count(absl::StrCat("w", i)), 1u);
  for (const std::string& word : by_one.words()) EXPECT_EQ(word, "there");
}

TEST(Broadcast, WithoutNatsItOnlyForgets) {
  Broadcast alone({.url = "nats://127.0.0.1:1"}, "x", [](auto) {});
  for (int i = 0; i < 10000; ++i) alone.Say("word");
}

}  // namespace
}  // namespace flotilla::events
