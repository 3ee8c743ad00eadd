// Orders on the wire and in the event log.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "events/log.h"
#include "flotilla/order/v1/order_service.pb.h"
#include "order/domain/order.h"

namespace flotilla::order {

flotilla::order::v1::Order ToProto(const Order& order);
// Without idempotency key and body hash, which are never sent.
Order FromProto(const flotilla::order::v1::Order& proto);

// What a saga needs to know of its order, and back. INTERNAL where the bytes are none.
std::string Encode(const Order& order);
absl::StatusOr<Order> Decode(const std::string& data);

// The event of the order's newest change.
events::Event EventOf(const Order& order, std::string traceparent);

}  // namespace flotilla::order
