#include "testing/process.h"

#include <set>

#include "gtest/gtest.h"

namespace flotilla {
namespace {

// Drawn from twenty thousand, some of these would come twice.
TEST(FreePort, IsGivenOnce) {
  std::set<int> ports;
  for (int i = 0; i < 500; ++i) EXPECT_TRUE(ports.insert(FreePort()).second);
}

}  // namespace
}  // namespace flotilla
