#include "testing/environment.h"

#include <cstdlib>
#include <stdexcept>

#include "absl/strings/numbers.h"

namespace flotilla {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) throw std::runtime_error(std::string(name) + " is not set; run the tests through tests/run");
  return value;
}

}  // namespace

std::string TestPostgres() { return Variable("FLOTILLA_TEST_POSTGRES"); }
std::string TestEtcd() { return Variable("FLOTILLA_TEST_ETCD"); }
std::string TestNats() { return Variable("FLOTILLA_TEST_NATS"); }
std::string TestBin() { return Variable("FLOTILLA_TEST_BIN"); }
std::string TestFailpointBin() { return Variable("FLOTILLA_TEST_FAILPOINT_BIN"); }

TestAddress TestRedis() {
  const std::string text = Variable("FLOTILLA_TEST_REDIS");
  const std::size_t colon = text.rfind(':');
  TestAddress address;
  if (colon == std::string::npos || !absl::SimpleAtoi(text.substr(colon + 1), &address.port)) {
    throw std::runtime_error("FLOTILLA_TEST_REDIS must be host:port");
  }
  address.host = text.substr(0, colon);
  return address;
}

}  // namespace flotilla
