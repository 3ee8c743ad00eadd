#include "notify/codec/codec.h"

#include "timestamp/timestamp.h"

namespace flotilla::notify {

void Fill(const Notification& notification, v1::Notification* proto) {
  proto->set_sequence(notification.sequence);
  proto->set_event_id(notification.event_id);
  proto->set_type(notification.type);
  proto->set_order_id(notification.order_id);
  proto->set_text(notification.text);
  Set(notification.occurred_at, proto->mutable_occur_time());
  proto->set_read(notification.read);
}

void Set(absl::Time time, google::protobuf::Timestamp* proto) { *proto = timestamp::ToProto(time); }

}  // namespace flotilla::notify
