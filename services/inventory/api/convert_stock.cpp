#include "inventory/api/convert_stock.h"

#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "errors/errors.h"
#include "inventory/api/convert.h"
#include "timestamp/timestamp.h"
#include "validation/validation.h"

namespace flotilla::inventory {
namespace {

constexpr std::int64_t kMaxUnits = 1000000000000;
constexpr std::int64_t kMaxPrice = 1000000000000;
constexpr std::int64_t kMaxUserLimit = 1000000;
constexpr std::size_t kMaxText = 200;
constexpr int kMaxSkus = 100;
constexpr std::int64_t kLastSecond = 253402300799;  // of the year 9999

// Names the field, with the SKU's place in an import.
class Fields {
 public:
  explicit Fields(int index) : prefix_(index < 0 ? "" : absl::StrCat("skus[", index, "].")) {}
  absl::Status Invalid(const char* field, const char* rule) const {
    return errors::InvalidField(prefix_ + field, rule);
  }

 private:
  const std::string prefix_;
};

bool IsTime(const google::protobuf::Timestamp& time) {
  return time.seconds() > 0 && time.seconds() <= kLastSecond && time.nanos() >= 0 && time.nanos() < 1000000000;
}

absl::StatusOr<SellingRules> ParseRules(const v1::SellingRules& proto, const std::string& currency,
                                        const Fields& fields) {
  SellingRules rules;
  if (proto.user_limit() < 0 || proto.user_limit() > kMaxUserLimit) {
    return fields.Invalid("rules.user_limit", "must be 0 to 1000000");
  }
  rules.user_limit = proto.user_limit();
  if (proto.has_sale_start()) {
    if (!IsTime(proto.sale_start())) return fields.Invalid("rules.sale_start", "must be a time from 1970 to 9999");
    rules.sale_start = timestamp::FromProto(proto.sale_start());
  }
  if (proto.has_sale_end()) {
    if (!IsTime(proto.sale_end())) return fields.Invalid("rules.sale_end", "must be a time from 1970 to 9999");
    rules.sale_end = timestamp::FromProto(proto.sale_end());
  }
  if (rules.sale_start >= rules.sale_end) return fields.Invalid("rules.sale_end", "must be after sale_start");
  if (proto.has_sale_price()) {
    if (proto.sale_price().minor_units() < 1 || proto.sale_price().minor_units() > kMaxPrice) {
      return fields.Invalid("rules.sale_price.minor_units", "must be 1 to 10^12");
    }
    if (proto.sale_price().currency_code() != currency) {
      return fields.Invalid("rules.sale_price.currency_code", "must be the currency of price");
    }
    rules.sale_price = proto.sale_price().minor_units();
  }
  return rules;
}

// A page's token is the last SKU of the page before.
template <class Request>
absl::StatusOr<SkuQuery> ParseQuery(const Request& request) {
  const absl::StatusOr<int> limit = validation::PageSize(request.page_size());
  if (!limit.ok()) return limit.status();
  if (!request.page_token().empty() && !validation::IsName(request.page_token())) {
    return errors::InvalidField("page_token", "is none of this list");
  }
  if (!request.prefix().empty() && !validation::IsName(request.prefix())) {
    return errors::InvalidField("prefix", "must be at most 64 characters of [A-Za-z0-9._-]");
  }
  return SkuQuery{.after = request.page_token(), .limit = *limit, .prefix = request.prefix()};
}

}  // namespace

absl::Status CheckSku(const std::string& sku) {
  return validation::IsName(sku) ? absl::OkStatus() : errors::InvalidField("sku", validation::kNameRule);
}

absl::Status CheckSkus(const google::protobuf::RepeatedPtrField<std::string>& skus) {
  if (skus.empty() || skus.size() > kMaxSkus) return errors::InvalidField("skus", "must hold 1 to 100");
  std::set<std::string_view> unique;
  for (int i = 0; i < skus.size(); ++i) {
    const std::string field = absl::StrCat("skus[", i, "]");
    if (!validation::IsName(skus[i])) return errors::InvalidField(field, validation::kNameRule);
    if (!unique.insert(skus[i]).second) return errors::InvalidField(field, "stands there twice");
  }
  return absl::OkStatus();
}

absl::StatusOr<PutSkuCommand> Parse(const v1::PutSkuRequest& request, int index) {
  const Fields fields(index);
  if (!validation::IsName(request.sku())) return fields.Invalid("sku", validation::kNameRule);
  if (request.name().empty() || request.name().size() > kMaxText) {
    return fields.Invalid("name", "must be 1 to 200 bytes");
  }
  if (request.price().minor_units() < 1 || request.price().minor_units() > kMaxPrice) {
    return fields.Invalid("price.minor_units", "must be 1 to 10^12");
  }
  if (!validation::IsCurrency(request.price().currency_code())) {
    return fields.Invalid("price.currency_code", validation::kCurrencyRule);
  }
  if (request.initial_quantity() < 0 || request.initial_quantity() > kMaxUnits) {
    return fields.Invalid("initial_quantity", "must be 0 to 10^12");
  }
  if (request.low_stock_threshold() < 0 || request.low_stock_threshold() > kMaxUnits) {
    return fields.Invalid("low_stock_threshold", "must be 0 to 10^12");
  }
  absl::StatusOr<SellingRules> rules = ParseRules(request.rules(), request.price().currency_code(), fields);
  if (!rules.ok()) return rules.status();
  return PutSkuCommand{.sku = request.sku(),
                       .name = request.name(),
                       .price = request.price().minor_units(),
                       .currency = request.price().currency_code(),
                       .initial = request.initial_quantity(),
                       .rules = *rules,
                       .low_stock_threshold = request.low_stock_threshold()};
}

absl::StatusOr<std::vector<PutSkuCommand>> Parse(const v1::ImportSkusRequest& request) {
  if (auto status = rpc::CheckBatch(request.skus_size(), "skus"); !status.ok()) return status;
  std::vector<PutSkuCommand> commands;
  std::set<std::string_view> unique;
  for (int i = 0; i < request.skus_size(); ++i) {
    absl::StatusOr<PutSkuCommand> command = Parse(request.skus(i), i);
    if (!command.ok()) return command.status();
    if (!unique.insert(request.skus(i).sku()).second)
      return Fields(i).Invalid("sku", "stands in an earlier one already");
    commands.push_back(*std::move(command));
  }
  return commands;
}

absl::StatusOr<AdjustCommand> Parse(const v1::AdjustStockRequest& request) {
  if (auto status = CheckSku(request.sku()); !status.ok()) return status;
  if (request.delta() == 0 || request.delta() > kMaxUnits || request.delta() < -kMaxUnits) {
    return errors::InvalidField("delta", "must be -10^12 to 10^12 and not 0");
  }
  if (!validation::IsKey(request.reference())) return errors::InvalidField("reference", validation::kKeyRule);
  if (auto status = validation::CheckNote(request.note(), kMaxText, /*required=*/false); !status.ok()) return status;
  if (!v1::MovementReason_IsValid(request.reason()) || request.reason() < v1::MOVEMENT_REASON_RECEIPT) {
    return errors::InvalidField("reason", "must be one of MovementReason but for INITIAL");
  }
  return AdjustCommand{request.sku(), request.reference(), request.delta(),
                       static_cast<MovementReason>(request.reason()), request.note()};
}

absl::StatusOr<MovementQuery> Parse(const v1::ListStockMovementsRequest& request) {
  if (auto status = CheckSku(request.sku()); !status.ok()) return status;
  const absl::StatusOr<int> limit = validation::PageSize(request.page_size());
  if (!limit.ok()) return limit.status();
  MovementQuery query{.sku = request.sku(), .limit = *limit};
  if (!request.page_token().empty() && (!absl::SimpleAtoi(request.page_token(), &query.after) || query.after < 0)) {
    return errors::InvalidField("page_token", "is none of this list");
  }
  return query;
}

absl::StatusOr<SkuQuery> Parse(const v1::ListStockRequest& request) {
  absl::StatusOr<SkuQuery> query = ParseQuery(request);
  if (query.ok()) query->low_stock = request.low_stock();
  return query;
}

absl::StatusOr<SkuQuery> Parse(const v1::ReconcileStockRequest& request) { return ParseQuery(request); }

absl::Status ToStatus(AdjustOutcome outcome, const std::string& sku) {
  switch (outcome) {
    case AdjustOutcome::kDone:
    case AdjustOutcome::kRepeated:
      return absl::OkStatus();
    case AdjustOutcome::kOutOfStock:
      return ToStatus(Outcome::kOutOfStock, sku);
    case AdjustOutcome::kUnknownSku:
      return ToStatus(Outcome::kUnknownSku, sku);
    case AdjustOutcome::kReferenceReused:
      return errors::Make(absl::StatusCode::kAlreadyExists, "IDEMPOTENCY_KEY_REUSED",
                          "this reference was used for another delta or reason");
  }
  return absl::InternalError("unknown outcome of an adjustment");
}

v1::Stock ToProto(const Sku& sku) {
  v1::Stock stock;
  stock.set_sku(sku.sku);
  stock.set_name(sku.name);
  stock.mutable_price()->set_minor_units(sku.price);
  stock.mutable_price()->set_currency_code(sku.currency);
  stock.set_available(sku.available);
  stock.set_reserved(sku.reserved);
  stock.set_sold(sku.sold);
  stock.set_low_stock_threshold(sku.low_stock_threshold);
  const SellingRules& rules = sku.rules;
  if (rules == SellingRules{}) return stock;
  auto* out = stock.mutable_rules();
  out->set_user_limit(rules.user_limit);
  if (rules.sale_start != absl::InfinitePast()) *out->mutable_sale_start() = timestamp::ToProto(rules.sale_start);
  if (rules.sale_end != absl::InfiniteFuture()) *out->mutable_sale_end() = timestamp::ToProto(rules.sale_end);
  if (rules.sale_price.has_value()) {
    out->mutable_sale_price()->set_minor_units(*rules.sale_price);
    out->mutable_sale_price()->set_currency_code(sku.currency);
  }
  return stock;
}

v1::StockMovement ToProto(const Movement& movement) {
  v1::StockMovement out;
  out.set_movement_id(movement.id);
  out.set_sku(movement.sku);
  out.set_delta(movement.delta);
  out.set_reason(static_cast<v1::MovementReason>(movement.reason));
  out.set_reference(movement.reference);
  out.set_note(movement.note);
  *out.mutable_create_time() = timestamp::ToProto(movement.created_at);
  return out;
}

v1::ReconcileStockResponse::Comparison ToProto(const Comparison& comparison) {
  v1::ReconcileStockResponse::Comparison out;
  out.set_sku(comparison.sku);
  out.set_sql_available(comparison.available);
  if (comparison.gate.has_value()) {
    out.set_in_gate(true);
    out.set_gate_available(*comparison.gate);
    out.set_drift(*comparison.gate - comparison.available);
  }
  return out;
}

}  // namespace flotilla::inventory
