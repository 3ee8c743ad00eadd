// Notifications on the wire, in replies, streams and webhooks.
#pragma once

#include "absl/time/time.h"
#include "flotilla/notify/v1/notify_service.pb.h"
#include "notify/domain/notification.h"

namespace flotilla::notify {

void Fill(const Notification& notification, v1::Notification* proto);
void Set(absl::Time time, google::protobuf::Timestamp* proto);  // to the microsecond

}  // namespace flotilla::notify
