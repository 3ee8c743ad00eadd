#include "notify/domain/notification.h"

namespace flotilla::notify {

std::string TextOf(std::string_view type, std::string_view order_id, std::string_view cancel_reason) {
  std::string text = "Your order ";
  text += order_id;
  if (type == "order.reserved") return text += " is reserved; payment is under way.";
  if (type == "order.paid") return text += " is paid.";
  if (type == "order.cancelling") return text += " is being cancelled.";
  if (type == "order.awaiting_payment") return text += " awaits your payment.";
  if (type == "order.refunding") return text += " is being refunded.";
  if (type == "order.refunded") return text += " is refunded.";
  if (type == "order.partially_refunded") return text += " is refunded in part.";
  if (type != "order.cancelled") return text += " has changed.";
  text += " is cancelled";
  if (!cancel_reason.empty()) (text += ": ") += cancel_reason;
  return text += ".";
}

}  // namespace flotilla::notify
