#include "order/api/parse.h"

#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "errors/errors.h"
#include "rpc/batch_items.h"
#include "timestamp/timestamp.h"
#include "validation/validation.h"

namespace flotilla::order {
namespace {

constexpr int kMaxItems = 100;
constexpr std::int64_t kMaxQuantity = 1000000;
constexpr int kMaxBatchLines = 10000;  // the answer holds them all, and a client takes 4 MiB
constexpr absl::Duration kMaxOutcomeAge = absl::Hours(24);

// `index` in a batch, or kNotInBatch.
absl::StatusOr<Order> ParseOrder(const std::string& user_id, const v1::CreateOrderRequest& request, int index) {
  const auto invalid = [index](std::string_view field, std::string_view rule) {
    if (index == rpc::kNotInBatch) return errors::InvalidField(field, rule);
    return rpc::InvalidItem(index, "order." + std::string(field), rule);
  };
  if (!validation::IsKey(request.idempotency_key())) return invalid("idempotency_key", validation::kKeyRule);
  if (request.payment_method() != v1::PAYMENT_METHOD_WALLET &&
      request.payment_method() != v1::PAYMENT_METHOD_EXTERNAL) {
    return invalid("payment_method", "must be PAYMENT_METHOD_WALLET or PAYMENT_METHOD_EXTERNAL");
  }
  if (request.items_size() < 1 || request.items_size() > kMaxItems) return invalid("items", "must hold 1 to 100 lines");
  Order order;
  order.lines.reserve(static_cast<std::size_t>(request.items_size()));
  std::set<std::string_view> skus;
  for (int i = 0; i < request.items_size(); ++i) {
    const auto& item = request.items(i);
    const auto field = [i](const char* name) { return absl::StrCat("items[", i, "].", name); };
    if (!validation::IsName(item.sku())) return invalid(field("sku"), validation::kNameRule);
    if (!skus.insert(item.sku()).second) return invalid(field("sku"), "stands in an earlier line already");
    if (item.quantity() < 1 || item.quantity() > kMaxQuantity)
      return invalid(field("quantity"), "must be 1 to 1000000");
    order.lines.push_back({item.sku(), item.quantity()});
  }
  order.user_id = user_id;
  order.idempotency_key = request.idempotency_key();
  order.payment_method = static_cast<PaymentMethod>(request.payment_method());
  order.order_id = OrderId(user_id, request.idempotency_key());
  order.body_hash = BodyHash(order.lines, order.payment_method);
  return order;
}

}  // namespace

absl::StatusOr<Order> Parse(const std::string& user_id, const v1::CreateOrderRequest& request) {
  if (auto status = validation::CheckUser(user_id); !status.ok()) return status;
  return ParseOrder(user_id, request, rpc::kNotInBatch);
}

absl::Status CheckBatch(const v1::BatchCreateOrdersRequest& request) {
  if (auto status = rpc::CheckBatch(request.requests_size()); !status.ok()) return status;
  int lines = 0;
  for (const auto& item : request.requests()) lines += item.order().items_size();
  if (lines <= kMaxBatchLines) return absl::OkStatus();
  return errors::InvalidField("requests", absl::StrCat("must hold at most ", kMaxBatchLines, " lines together"));
}

absl::StatusOr<Order> Parse(const v1::BatchCreateOrdersRequest::Item& item, int index) {
  if (!validation::IsName(item.user_id())) return rpc::InvalidItem(index, "user_id", validation::kNameRule);
  return ParseOrder(item.user_id(), item.order(), index);
}

absl::StatusOr<OrderKey> ParseKey(const std::string& user_id, const std::string& order_id) {
  if (auto status = validation::CheckUser(user_id); !status.ok()) return status;
  if (!validation::IsUuid(order_id)) return errors::InvalidField("order_id", validation::kUuidRule);
  return OrderKey{user_id, absl::AsciiStrToLower(order_id)};
}

absl::StatusOr<RefundRequest> Parse(const std::string& caller, const v1::RefundOrderRequest& request) {
  if (!request.user_id().empty() && !validation::IsName(request.user_id())) {
    return errors::InvalidField("user_id", validation::kNameRule);
  }
  absl::StatusOr<OrderKey> key = ParseKey(request.user_id().empty() ? caller : request.user_id(), request.order_id());
  if (!key.ok()) return key.status();
  if (!validation::IsName(request.refund_id())) return errors::InvalidField("refund_id", validation::kNameRule);
  RefundRequest refund{
      .key = *std::move(key), .refund_id = request.refund_id(), .return_stock = request.return_stock()};
  if (request.has_amount()) {
    if (!validation::IsCurrency(request.amount().currency_code())) {
      return errors::InvalidField("amount.currency_code", validation::kCurrencyRule);
    }
    if (request.amount().minor_units() < 1) return errors::InvalidField("amount.minor_units", "must be at least 1");
    refund.amount = request.amount().minor_units();
    refund.currency = request.amount().currency_code();
  }
  return refund;
}

absl::StatusOr<ListQuery> Parse(const std::string& user_id, const v1::ListOrdersRequest& request) {
  if (auto status = validation::CheckUser(user_id); !status.ok()) return status;
  const absl::StatusOr<int> page_size = validation::PageSize(request.page_size());
  if (!page_size.ok()) return page_size.status();
  ListQuery query;
  query.user_id = user_id;
  query.limit = *page_size;
  if (!request.page_token().empty()) {
    const std::string& token = request.page_token();
    const std::size_t dot = token.find('.');
    std::int64_t micros = 0;
    if (dot == std::string::npos || !absl::SimpleAtoi(token.substr(0, dot), &micros) ||
        !validation::IsUuid(token.substr(dot + 1))) {
      return validation::ForeignToken();
    }
    query.before = ListQuery::Position{absl::FromUnixMicros(micros), token.substr(dot + 1)};
  }
  return query;
}

absl::StatusOr<OrderKey> Parse(const v1::GetCompletionRequest& request, int index) {
  if (!validation::IsName(request.user_id())) return rpc::InvalidItem(index, "user_id", validation::kNameRule);
  if (!validation::IsUuid(request.order_id())) return rpc::InvalidItem(index, "order_id", validation::kUuidRule);
  return OrderKey{request.user_id(), absl::AsciiStrToLower(request.order_id())};
}

absl::StatusOr<OutcomeQuery> Parse(const v1::ListOutcomesRequest& request) {
  const absl::StatusOr<int> page_size = validation::PageSize(request.page_size());
  if (!page_size.ok()) return page_size.status();
  if (!request.has_min_age()) return errors::InvalidField("min_age", "is required");
  OutcomeQuery query{.min_age = timestamp::FromProto(request.min_age()), .limit = *page_size};
  if (query.min_age < absl::ZeroDuration() || query.min_age > kMaxOutcomeAge) {
    return errors::InvalidField("min_age", "must be 0 to 24 h");
  }
  if (request.page_token().empty()) return query;
  const std::pair<std::string, std::string> parts = absl::StrSplit(request.page_token(), absl::MaxSplits('.', 1));
  if (absl::SimpleAtoi(parts.first, &query.after.xid) && absl::SimpleAtoi(parts.second, &query.after.position)) {
    return query;
  }
  return validation::ForeignToken();
}

std::string PageToken(const LogPlace& next) { return absl::StrCat(next.xid, ".", next.position); }

std::string PageToken(const Order& last) {
  return std::to_string(absl::ToUnixMicros(last.created_at)) + "." + last.order_id;
}

}  // namespace flotilla::order
