#include "notify/webhook/http_sender.h"

#include <dlfcn.h>
#include <netdb.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>

#include "gtest/gtest.h"
#include "notify/webhook/test_receiver.h"

namespace flotilla::notify {
namespace {

// While it is closed, names under .silent are looked up without an end, as where their servers drop what they are
// asked.
std::mutex silence;
std::condition_variable silence_broken;
bool silent = true;

}  // namespace
}  // namespace flotilla::notify

// In the place of libc's, which libcurl calls on a thread of its own.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** found) {
  using flotilla::notify::silence;
  if (node != nullptr && std::string_view(node).ends_with(".silent")) {
    std::unique_lock lock(silence);
    flotilla::notify::silence_broken.wait(lock, [] { return !flotilla::notify::silent; });
    return EAI_AGAIN;
  }
  static const auto libc = reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  return libc(node, service, hints, found);
}

namespace flotilla::notify {
namespace {

// What was answered, by name.
class Answers {
 public:
  auto Of(const std::string& name) {
    return [this, name](HttpResult result) {
      std::lock_guard lock(mutex_);
      results_[name] = std::move(result);
      changed_.notify_all();
    };
  }
  HttpResult Wait(const std::string& name) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(30), [&] { return results_.contains(name); })) << name;
    return results_[name];
  }
  bool Has(const std::string& name) {
    std::lock_guard lock(mutex_);
    return results_.contains(name);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, HttpResult> results_;
};

TEST(HttpSender, SendsWhatItIsGiven) {
  TestReceiver receiver(TestReceiver::Always(204));
  Answers answers;
  HttpSender sender({.allow_private = true});
  sender.Send({receiver.url("/a?b=c"), {"webhook-id: 7", "content-type: application/json"}, "{\"a\":1}"},
              answers.Of("a"));
  const HttpResult result = answers.Wait("a");
  EXPECT_EQ(result.status, 204);
  EXPECT_TRUE(result.ok());
  const auto requests = receiver.requests();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_TRUE(requests[0].head.starts_with("POST /a?b=c HTTP/1.1\r\n")) << requests[0].head;
  EXPECT_EQ(requests[0].Header("webhook-id"), "7");
  EXPECT_EQ(requests[0].Header("content-type"), "application/json");
  EXPECT_EQ(requests[0].body, "{\"a\":1}");
}

TEST(HttpSender, NoReceiverDelaysAnother) {
  TestReceiver good(TestReceiver::Always(200)), failing(TestReceiver::Always(500)), hanging(TestReceiver::Hang()),
      dripping(TestReceiver::Drip()), closing([](const auto&) { return std::string(); });
  TestReceiver redirecting(
      [&good](const auto&) { return TestReceiver::Answer(302, "location: " + good.url("/redirected") + "\r\n"); });
  TestReceiver flooding([](const auto&) { return "HTTP/1.1 200 X\r\n\r\n" + std::string(1 << 20, 'x'); });
  Answers answers;
  HttpSender sender({.timeout = absl::Seconds(10), .allow_private = true});
  for (int i = 0; i < 20; ++i) {
    sender.Send({hanging.url(), {}, "x"}, answers.Of("hanging" + std::to_string(i)));
    sender.Send({dripping.url(), {}, "x"}, answers.Of("dripping" + std::to_string(i)));
  }
  sender.Send({failing.url(), {}, "x"}, answers.Of("failing"));
  sender.Send({closing.url(), {}, "x"}, answers.Of("closing"));
  sender.Send({redirecting.url(), {}, "x"}, answers.Of("redirecting"));
  sender.Send({flooding.url(), {}, "x"}, answers.Of("flooding"));
  sender.Send({"http://127.0.0.1:1/", {}, "x"}, answers.Of("refused"));
  sender.Send({good.url(), {}, "x"}, answers.Of("good"));
  EXPECT_EQ(answers.Wait("good").status, 200);
  EXPECT_FALSE(answers.Has("hanging0")) << "the good one did not wait for it";
  EXPECT_FALSE(answers.Has("dripping0"));
  EXPECT_EQ(answers.Wait("failing").status, 500);
  EXPECT_EQ(answers.Wait("redirecting").status, 302);
  EXPECT_EQ(answers.Wait("flooding").status, 200);
  EXPECT_EQ(answers.Wait("closing").status, 0);
  EXPECT_NE(answers.Wait("closing").error, "");
  EXPECT_EQ(answers.Wait("refused").status, 0);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(answers.Wait("hanging" + std::to_string(i)).status, 0);
    const HttpResult trickled = answers.Wait("dripping" + std::to_string(i));
    EXPECT_EQ(trickled.status, 0);
    EXPECT_GE(trickled.duration, absl::Seconds(9)) << trickled.error << ": what trickles in is not taken for an answer";
  }
  for (const auto& request : good.requests()) EXPECT_EQ(request.head.find("redirected"), std::string::npos);
}

TEST(HttpSender, ANameThatNobodyAnswersForDelaysNobody) {
  TestReceiver good(TestReceiver::Always(200));
  Answers answers;
  HttpSender sender({.connect_timeout = absl::Seconds(2), .allow_private = true});
  sender.Send({"http://name.silent/", {}, "x"}, answers.Of("silent"));
  EXPECT_EQ(answers.Wait("silent").status, 0) << "its time is over while it is still looked up";
  sender.Send({good.url(), {}, "x"}, answers.Of("good"));
  EXPECT_EQ(answers.Wait("good").status, 200);
  std::lock_guard lock(silence);
  silent = false;
  silence_broken.notify_all();
}

TEST(HttpSender, ConnectsToPublicAddressesOnly) {
  TestReceiver receiver(TestReceiver::Always(200));
  std::string url = receiver.url();
  Answers answers;
  HttpSender sender({});
  const std::string port = url.substr(url.rfind(':'));
  sender.Send({"https://127.0.0.1" + port, {}, "x"}, answers.Of("address"));
  sender.Send({"https://localhost" + port, {}, "x"}, answers.Of("name"));  // looks harmless until it is resolved
  sender.Send({url, {}, "x"}, answers.Of("http"));
  EXPECT_EQ(answers.Wait("address").error, "the address is not public");
  EXPECT_EQ(answers.Wait("name").error, "the address is not public");
  EXPECT_EQ(answers.Wait("http").status, 0);
  EXPECT_TRUE(receiver.requests().empty());
}

TEST(HttpSender, StopsWhileRequestsAreUnderWay) {
  TestReceiver hanging(TestReceiver::Hang());
  Answers answers;
  {
    HttpSender sender({.allow_private = true});
    for (int i = 0; i < 5; ++i) sender.Send({hanging.url(), {}, "x"}, answers.Of("hanging"));
    for (int i = 0; i < 500 && hanging.requests().empty(); ++i) absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_FALSE(answers.Has("hanging"));
}

}  // namespace
}  // namespace flotilla::notify
