#include "registry/registry.h"

#include <unistd.h>

#include <filesystem>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "registry/etcd.h"
#include "testing/environment.h"
#include "testing/eventually.h"
#include "testing/process.h"

namespace flotilla::registry {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

// The resolver's newest answer.
class Watcher {
 public:
  Watcher(const Options& options, const std::string& service) : resolver_(options, service) {
    resolver_.Subscribe([this](std::vector<std::string> addresses) {
      std::lock_guard lock(mutex_);
      addresses_ = std::move(addresses);
    });
  }
  std::vector<std::string> Get() {
    std::lock_guard lock(mutex_);
    return addresses_;
  }
  std::vector<std::string> WaitFor(std::size_t count, int seconds = 10) {
    Eventually([&] { return Get().size() == count; }, absl::Seconds(seconds));
    return Get();
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> addresses_;
  Resolver resolver_;
};

class RegistryTest : public testing::Test {
 protected:
  void SetUp() override {
    options.etcd = TestEtcd();
    service = absl::StrCat("registry-test-", std::random_device{}());
  }
  Options options;
  std::string service;
};

TEST_F(RegistryTest, InstancesJoinAndLeave) {
  Watcher watcher(options, service);
  auto first = std::make_unique<Registration>(options, service, "one", "host:1");
  EXPECT_THAT(watcher.WaitFor(1), ElementsAre("host:1"));
  EXPECT_TRUE(Eventually([&] { return first->registered(); }));
  Registration second(options, service, "two", "host:2", {{"zone", "a"}});
  EXPECT_THAT(watcher.WaitFor(2), UnorderedElementsAre("host:1", "host:2"));
  first.reset();
  EXPECT_THAT(watcher.WaitFor(1), ElementsAre("host:2"));
  Watcher late(options, service);
  EXPECT_THAT(late.WaitFor(1), ElementsAre("host:2"));
}

TEST_F(RegistryTest, TheLastKnownInstanceStaysKnown) {
  Watcher watcher(options, service);
  auto only = std::make_unique<Registration>(options, service, "one", "host:1");
  EXPECT_THAT(watcher.WaitFor(1), ElementsAre("host:1"));
  only.reset();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_THAT(watcher.Get(), ElementsAre("host:1"));
}

TEST_F(RegistryTest, ALostLeaseIsReplaced) {
  options.lease_ttl = absl::Seconds(3);
  Registration registration(options, service, "one", "host:1");
  Watcher watcher(options, service);
  EXPECT_THAT(watcher.WaitFor(1), ElementsAre("host:1"));
  Etcd etcd(options.etcd);
  const auto list = etcd.List("/flotilla/services/" + service + "/");
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->kvs_size(), 1);
  ASSERT_TRUE(etcd.Revoke(list->kvs(0).lease()).ok());
  EXPECT_TRUE(Eventually([&] {
    const auto again = etcd.List("/flotilla/services/" + service + "/");
    return again.ok() && again->kvs_size() == 1;
  })) << "it did not register again";
}

TEST_F(RegistryTest, ValuesThatAreNotOursAreIgnored) {
  Etcd etcd(options.etcd);
  for (const char* junk : {"", "{", "[]", "{\"address\": 7}", "\xff\xfe"}) {
    ASSERT_TRUE(etcd.Put(absl::StrCat("/flotilla/services/", service, "/junk"), junk, 0).ok());
  }
  Registration registration(options, service, "one", "host:1");
  Watcher watcher(options, service);
  EXPECT_THAT(watcher.WaitFor(1), ElementsAre("host:1"));
}

TEST_F(RegistryTest, ADeadEndpointIsSteppedOver) {
  options.etcd = "127.0.0.1:1," + options.etcd;
  options.lease_ttl = absl::Seconds(60);  // who leaves is gone long before
  Watcher watcher(options, service);
  Registration stays(options, service, "one", "host:1");
  auto leaves = std::make_unique<Registration>(options, service, "two", "host:2");
  EXPECT_THAT(watcher.WaitFor(2), UnorderedElementsAre("host:1", "host:2"));
  const auto start = std::chrono::steady_clock::now();
  leaves.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  EXPECT_THAT(watcher.WaitFor(1, 20), ElementsAre("host:1"));
}

// A registration that ended while its put was under way left its key behind for a whole lease.
TEST_F(RegistryTest, NothingStaysOfARegistrationThatEndsAtOnce) {
  options.lease_ttl = absl::Seconds(60);
  for (int i = 0; i < 60; ++i) {
    Registration registration(options, service, absl::StrCat("instance-", i), "host:1");
    std::this_thread::sleep_for(std::chrono::microseconds(250 * i));
  }
  Etcd etcd(options.etcd);
  EXPECT_TRUE(Eventually([&] {
    const auto list = etcd.List("/flotilla/services/" + service + "/");
    return list.ok() && list->kvs_size() == 0;
  }));
}

// An etcd of the test's own, to be killed.
class PrivateEtcd {
 public:
  explicit PrivateEtcd(int port)
      : port_(port), data_(std::filesystem::temp_directory_path() / absl::StrCat("etcd-", getpid(), "-", port)) {}
  ~PrivateEtcd() {
    Stop();
    std::filesystem::remove_all(data_);
    std::filesystem::remove(log());
  }
  void Start() {
    const std::string client = absl::StrCat("http://127.0.0.1:", port_),
                      peer = absl::StrCat("http://127.0.0.1:", peer_port_);
    process_.emplace(std::vector<std::string>{"etcd", "--name", "t", "--data-dir", data_.string(), "--log-level",
                                              "error", "--listen-client-urls", client, "--advertise-client-urls",
                                              client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                                              "--initial-cluster", "t=" + peer},
                     log());
  }
  void Stop() { process_.reset(); }

 private:
  std::string log() const { return data_.string() + ".log"; }

  const int port_;
  const int peer_port_ = FreePort();
  const std::filesystem::path data_;
  std::optional<Process> process_;
};

TEST_F(RegistryTest, EtcdMayBeAwayAtTheStartAndInBetween) {
  const int port = FreePort();
  options.etcd = absl::StrCat("127.0.0.1:", port);
  options.lease_ttl = absl::Seconds(3);
  PrivateEtcd etcd(port);
  Watcher watcher(options, service);
  auto first = std::make_unique<Registration>(options, service, "one", "host:1");
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_FALSE(first->registered());
  etcd.Start();
  EXPECT_THAT(watcher.WaitFor(1, 20), ElementsAre("host:1"));
  etcd.Stop();
  std::this_thread::sleep_for(std::chrono::seconds(4));
  EXPECT_THAT(watcher.Get(), ElementsAre("host:1")) << "the last known endpoints stay";
  EXPECT_TRUE(Eventually([&] { return !first->registered(); })) << "the lease cannot have outlived its TTL";
  etcd.Start();
  Registration second(options, service, "two", "host:2");
  EXPECT_THAT(watcher.WaitFor(2, 20), UnorderedElementsAre("host:1", "host:2"));
  // etcd kept the old key over its restart, so this may come after the key is seen.
  EXPECT_TRUE(Eventually([&] { return first->registered(); }));
}

}  // namespace
}  // namespace flotilla::registry
