#include "timestamp/timestamp.h"

#include <limits>

#include "gtest/gtest.h"

namespace flotilla::timestamp {
namespace {

TEST(Timestamp, KeepsMicrosecondsBothWays) {
  for (const std::int64_t micros : {0LL, 1LL, 1'763'000'000'123'456LL, -1LL, -62'135'596'800'000'000LL}) {
    const absl::Time time = absl::FromUnixMicros(micros);
    EXPECT_EQ(FromProto(ToProto(time)), time) << micros;
    EXPECT_GE(ToProto(time).nanos(), 0) << micros;
  }
  EXPECT_EQ(ToProto(absl::FromUnixNanos(1'999)).nanos(), 1'000);
}

TEST(Timestamp, TakesWhateverAClientSends) {
  google::protobuf::Timestamp proto;
  proto.set_seconds(std::numeric_limits<std::int64_t>::max());
  EXPECT_GT(FromProto(proto), absl::FromUnixSeconds(1LL << 40));
  proto.set_seconds(std::numeric_limits<std::int64_t>::min());
  EXPECT_LT(FromProto(proto), absl::UnixEpoch());
}

TEST(Timestamp, KeepsDurationsBothWays) {
  for (const std::int64_t nanos : {0LL, 1LL, 1'500'000'000LL, -1LL, -1'500'000'000LL}) {
    const google::protobuf::Duration proto = ToProto(absl::Nanoseconds(nanos));
    EXPECT_EQ(FromProto(proto), absl::Nanoseconds(nanos));
    EXPECT_GE(proto.seconds() * proto.nanos(), 0) << "of one sign: " << proto.ShortDebugString();
  }
}

}  // namespace
}  // namespace flotilla::timestamp
