// Requests of OrderService and CompletionService checked and turned into domain values. Errors: INVALID_ARGUMENT
// (INVALID_FIELD) naming the field, UNAUTHENTICATED (NO_USER) where the call has no user.
#pragma once

#include "absl/status/statusor.h"
#include "flotilla/order/v1/completion_service.pb.h"
#include "flotilla/order/v1/order_service.pb.h"
#include "order/domain/order.h"
#include "order/store/order_store.h"
#include "order/store/outcome_store.h"
#include "order/workflow/refund_flow.h"

namespace flotilla::order {

// An order without prices and times.
absl::StatusOr<Order> Parse(const std::string& user_id, const v1::CreateOrderRequest& request);
// One of a batch, named "requests[2].order.items[0].sku" in errors.
absl::StatusOr<Order> Parse(const v1::BatchCreateOrdersRequest::Item& item, int index);
// The size of a batch, in requests and in lines.
absl::Status CheckBatch(const v1::BatchCreateOrdersRequest& request);
absl::StatusOr<OrderKey> ParseKey(const std::string& user_id, const std::string& order_id);
// Of the order's user where the request names one, else of the caller.
absl::StatusOr<RefundRequest> Parse(const std::string& caller, const v1::RefundOrderRequest& request);
absl::StatusOr<ListQuery> Parse(const std::string& user_id, const v1::ListOrdersRequest& request);
// One of a batch, named "requests[2].user_id" in errors.
absl::StatusOr<OrderKey> Parse(const v1::GetCompletionRequest& request, int index);
absl::StatusOr<OutcomeQuery> Parse(const v1::ListOutcomesRequest& request);

// The token of the page after `last`: opaque to clients.
std::string PageToken(const Order& last);
std::string PageToken(const LogPlace& next);

}  // namespace flotilla::order
