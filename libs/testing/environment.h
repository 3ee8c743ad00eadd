// For tests only, as this whole room. The servers of a test run, from the environment that tests/run sets; each throws
// std::runtime_error where its variable is missing or malformed.
//
// Everything in this room is in namespace flotilla: a flotilla::testing would hide gtest's.
#pragma once

#include <string>

namespace flotilla {

// What clang and gcc say each in their own way.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FLOTILLA_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FLOTILLA_SANITIZED
#endif
#endif
#ifdef FLOTILLA_SANITIZED
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

struct TestAddress {
  std::string host;
  int port = 0;
};

std::string TestPostgres();      // FLOTILLA_TEST_POSTGRES: an administrator's uri, which ends with a database's name
TestAddress TestRedis();         // FLOTILLA_TEST_REDIS
std::string TestEtcd();          // FLOTILLA_TEST_ETCD: host:port
std::string TestNats();          // FLOTILLA_TEST_NATS: a url
std::string TestBin();           // FLOTILLA_TEST_BIN: the folder of the built programs
std::string TestFailpointBin();  // FLOTILLA_TEST_FAILPOINT_BIN: the same with failpoints compiled in

}  // namespace flotilla
