// absl::Time as google.protobuf.Timestamp, to the microsecond, as PostgreSQL keeps it. What a contract demands of a
// time is its parser's to check.
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include "absl/time/time.h"

namespace flotilla::timestamp {

google::protobuf::Timestamp ToProto(absl::Time time);
absl::Time FromProto(const google::protobuf::Timestamp& proto);

}  // namespace flotilla::timestamp
