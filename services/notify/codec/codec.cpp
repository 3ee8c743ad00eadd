#include "notify/codec/codec.h"

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

void Set(absl::Time time, google::protobuf::Timestamp* proto) {
  const std::int64_t micros = absl::ToUnixMicros(time);
  proto->set_seconds(micros / 1'000'000);
  proto->set_nanos(static_cast<int>(micros % 1'000'000) * 1000);
}

}  // namespace flotilla::notify
