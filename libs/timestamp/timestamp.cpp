#include "timestamp/timestamp.h"

#include <google/protobuf/util/time_util.h>

namespace flotilla::timestamp {

google::protobuf::Timestamp ToProto(absl::Time time) {
  return google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(time));
}

// Not by TimeUtil, whose product overflows where a client sends seconds beyond all calendars.
absl::Time FromProto(const google::protobuf::Timestamp& proto) {
  return absl::FromUnixSeconds(proto.seconds()) + absl::Microseconds(proto.nanos() / 1000);
}

}  // namespace flotilla::timestamp
