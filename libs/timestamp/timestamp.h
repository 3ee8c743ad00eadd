// absl::Time as google.protobuf.Timestamp, to the microsecond, as PostgreSQL keeps it, and absl::Duration as
// google.protobuf.Duration. What a contract demands of them is its parser's to check.
#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include "absl/time/time.h"

namespace flotilla::timestamp {

google::protobuf::Timestamp ToProto(absl::Time time);
absl::Time FromProto(const google::protobuf::Timestamp& proto);
google::protobuf::Duration ToProto(absl::Duration duration);
absl::Duration FromProto(const google::protobuf::Duration& proto);

}  // namespace flotilla::timestamp
