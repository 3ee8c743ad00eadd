// Requests of order and of the event log: bytes -> message -> domain.
#include "event_log/convert.h"
#include "fuzz/fuzz.h"
#include "order/api/parse.h"
#include "order/api/saga_admin_parse.h"
#include "validation/validation.h"

namespace flotilla::order {
namespace {

constexpr char kUser[] = "user";
const absl::Time kNow = absl::FromUnixSeconds(1'790'000'000);

void CheckOrder(const Order& order) {
  fuzz::Require(validation::IsUuid(order.order_id), "an order's id is a UUID");
  fuzz::Require(!order.lines.empty() && order.lines.size() <= 100, "an order has 1 to 100 lines");
  for (const Line& line : order.lines) {
    fuzz::Require(validation::IsName(line.sku) && line.quantity > 0, "a line has a SKU and a quantity");
  }
}

void Run(std::string_view input) {
  switch (fuzz::TakeChoice(input, 10)) {
    case 0:
      return fuzz::Handle<v1::CreateOrderRequest>(input, [](const auto& r) {
        auto order = Parse(kUser, r);
        if (order.ok()) CheckOrder(*order);
        return order;
      });
    case 1:
      return fuzz::Handle<v1::GetOrderRequest>(input, [](const auto& r) { return ParseKey(kUser, r.order_id()); });
    case 2:
      return fuzz::Handle<v1::RefundOrderRequest>(input, [](const auto& r) { return Parse(kUser, r); });
    case 3:
      return fuzz::Handle<v1::ListOrdersRequest>(input, [](const auto& r) {
        auto query = Parse(kUser, r);
        if (query.ok() && query->before.has_value()) {
          Order last;
          last.created_at = query->before->created_at;
          last.order_id = query->before->order_id;
          v1::ListOrdersRequest again;
          again.set_page_token(PageToken(last));
          fuzz::Require(Parse(kUser, again).ok(), "our own token is taken");
        }
        return query;
      });
    case 4:
      return fuzz::Handle<v1::ListSagasRequest>(input, [](const auto& r) { return Parse(r); });
    case 5:
      return fuzz::Handle<v1::ListOperatorActsRequest>(input, [](const auto& r) { return Parse(r); });
    case 6:
      return fuzz::Handle<v1::ResolveSagaRequest>(input, [](const auto& r) {
        const auto key = ParseSagaKey(r.type(), r.id());
        if (const absl::Status status = CheckEnd(r.order_state()); !status.ok()) return status;
        return key.ok() ? validation::CheckNote(r.note(), 1000) : key.status();
      });
    case 7:
      return fuzz::Handle<event::v1::ReplayEventsRequest>(
          input, [](const auto& r) { return event_log::Parse(r, kUser, kNow); });
    case 8:
      return fuzz::Handle<event::v1::ListReplaysRequest>(input, [](const auto& r) { return event_log::ParseToken(r); });
    default:
      return fuzz::Handle<v1::GetCompletionRequest>(input, [](const auto& r) { return Parse(r, 0); });
  }
}

}  // namespace
}  // namespace flotilla::order

FLOTILLA_FUZZ(flotilla::order::Run)
