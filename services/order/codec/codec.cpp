#include "order/codec/codec.h"

#include "flotilla/order/v1/order_event.pb.h"
#include "timestamp/timestamp.h"

namespace flotilla::order {

v1::Order ToProto(const Order& order) {
  v1::Order proto;
  proto.set_order_id(order.order_id);
  proto.set_user_id(order.user_id);
  proto.set_state(static_cast<v1::OrderState>(order.state));
  proto.mutable_lines()->Reserve(static_cast<int>(order.lines.size()));
  for (const Line& line : order.lines) {
    auto* out = proto.add_lines();
    out->set_sku(line.sku);
    out->set_quantity(line.quantity);
    out->mutable_unit_price()->set_currency_code(order.currency);
    out->mutable_unit_price()->set_minor_units(line.unit_price);
  }
  proto.mutable_total()->set_currency_code(order.currency);
  proto.mutable_total()->set_minor_units(order.total);
  proto.set_cancel_reason(order.cancel_reason);
  proto.set_payment_method(static_cast<v1::PaymentMethod>(order.payment_method));
  if (order.payment_method == PaymentMethod::kExternal) {
    proto.set_payment_reference(order.payment_reference);
    proto.mutable_pay_by_time()->set_seconds(absl::ToUnixSeconds(order.pay_by));
  }
  if (order.refunded > 0) {
    proto.mutable_refunded()->set_currency_code(order.currency);
    proto.mutable_refunded()->set_minor_units(order.refunded);
  }
  *proto.mutable_create_time() = timestamp::ToProto(order.created_at);
  *proto.mutable_update_time() = timestamp::ToProto(order.updated_at);
  proto.set_version(order.version);
  return proto;
}

Order FromProto(const v1::Order& proto) {
  Order order;
  order.order_id = proto.order_id();
  order.user_id = proto.user_id();
  order.state = static_cast<State>(proto.state());
  order.lines.reserve(static_cast<std::size_t>(proto.lines_size()));
  for (const auto& line : proto.lines()) {
    order.lines.push_back({line.sku(), line.quantity(), line.unit_price().minor_units()});
  }
  order.currency = proto.total().currency_code();
  order.total = proto.total().minor_units();
  order.cancel_reason = proto.cancel_reason();
  // Sagas of before there were methods have none.
  if (proto.payment_method() == v1::PAYMENT_METHOD_EXTERNAL) order.payment_method = PaymentMethod::kExternal;
  order.payment_reference = proto.payment_reference();
  if (proto.has_pay_by_time()) order.pay_by = absl::FromUnixSeconds(proto.pay_by_time().seconds());
  order.refunded = proto.refunded().minor_units();
  order.created_at = timestamp::FromProto(proto.create_time());
  order.updated_at = timestamp::FromProto(proto.update_time());
  order.version = proto.version();
  return order;
}

std::string Encode(const Order& order) { return ToProto(order).SerializeAsString(); }

absl::StatusOr<Order> Decode(const std::string& data) {
  v1::Order proto;
  if (!proto.ParseFromString(data)) return absl::InternalError("a saga's data are not an order");
  return FromProto(proto);
}

events::Event EventOf(const Order& order, std::string traceparent) {
  v1::OrderEvent data;
  *data.mutable_order() = ToProto(order);
  events::Event event;
  event.stream_id = order.order_id;
  event.sequence = order.version;
  event.type = std::string(EventType(order.state));
  event.data = data.SerializeAsString();
  event.traceparent = std::move(traceparent);
  event.occurred_at = order.updated_at;
  return event;
}

}  // namespace flotilla::order
