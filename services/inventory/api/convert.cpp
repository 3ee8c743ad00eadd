#include "inventory/api/convert.h"

#include <set>

#include "absl/strings/ascii.h"
#include "errors/errors.h"
#include "google/protobuf/util/time_util.h"
#include "validation/validation.h"

namespace flotilla::inventory {
namespace {

using validation::IsName;

constexpr int kMaxLines = 100;
constexpr std::int64_t kMaxQuantity = 1000000;
constexpr std::int64_t kMaxUnits = 1000000000000;
constexpr std::int64_t kMaxPrice = 1000000000000;
constexpr std::size_t kMaxText = 200;
constexpr absl::Duration kDefaultHold = absl::Minutes(5);
constexpr absl::Duration kShortestHold = absl::Seconds(1);
constexpr absl::Duration kLongestHold = absl::Hours(1);

}  // namespace

absl::StatusOr<std::string> ParseOrderId(const std::string& order_id, const std::string& field) {
  if (!validation::IsUuid(order_id)) return errors::InvalidField(field, validation::kUuidRule);
  return absl::AsciiStrToLower(order_id);
}

absl::Status CheckSku(const std::string& sku) {
  return IsName(sku) ? absl::OkStatus() : errors::InvalidField("sku", validation::kNameRule);
}

absl::StatusOr<ReserveCommand> Parse(const v1::ReserveRequest& request, int index) {
  ReserveCommand command;
  if (!validation::IsUuid(request.order_id())) return rpc::InvalidItem(index, "order_id", validation::kUuidRule);
  command.order_id = absl::AsciiStrToLower(request.order_id());
  if (request.lines_size() < 1 || request.lines_size() > kMaxLines) {
    return rpc::InvalidItem(index, "lines", "must hold 1 to 100 lines");
  }
  std::set<std::string_view> skus;
  command.lines.reserve(static_cast<std::size_t>(request.lines_size()));
  for (int i = 0; i < request.lines_size(); ++i) {
    const auto& line = request.lines(i);
    const auto field = [i](const char* name) { return "lines[" + std::to_string(i) + "]." + name; };
    if (!IsName(line.sku())) return rpc::InvalidItem(index, field("sku"), validation::kNameRule);
    if (!skus.insert(line.sku()).second)
      return rpc::InvalidItem(index, field("sku"), "stands in an earlier line already");
    if (line.quantity() < 1 || line.quantity() > kMaxQuantity) {
      return rpc::InvalidItem(index, field("quantity"), "must be 1 to 1000000");
    }
    command.lines.push_back({line.sku(), line.quantity()});
  }
  command.hold = kDefaultHold;
  if (request.has_hold()) {
    command.hold = absl::Seconds(request.hold().seconds()) + absl::Nanoseconds(request.hold().nanos());
    if (command.hold < kShortestHold || command.hold > kLongestHold) {
      return rpc::InvalidItem(index, "hold", "must be 1 s to 1 h");
    }
  }
  return command;
}

absl::StatusOr<ReleaseCommand> Parse(const v1::ReleaseRequest& request, int index) {
  if (!validation::IsUuid(request.order_id())) return rpc::InvalidItem(index, "order_id", validation::kUuidRule);
  return ReleaseCommand{absl::AsciiStrToLower(request.order_id()), request.return_sold()};
}

absl::StatusOr<PutSkuCommand> Parse(const v1::PutSkuRequest& request) {
  if (auto status = CheckSku(request.sku()); !status.ok()) return status;
  if (request.name().empty() || request.name().size() > kMaxText) {
    return errors::InvalidField("name", "must be 1 to 200 bytes");
  }
  if (request.price().minor_units() < 1 || request.price().minor_units() > kMaxPrice) {
    return errors::InvalidField("price.minor_units", "must be 1 to 10^12");
  }
  if (!validation::IsCurrency(request.price().currency_code())) {
    return errors::InvalidField("price.currency_code", validation::kCurrencyRule);
  }
  if (request.initial_quantity() < 0 || request.initial_quantity() > kMaxUnits) {
    return errors::InvalidField("initial_quantity", "must be 0 to 10^12");
  }
  return PutSkuCommand{request.sku(), request.name(), request.price().minor_units(), request.price().currency_code(),
                       request.initial_quantity()};
}

absl::StatusOr<AdjustCommand> Parse(const v1::AdjustStockRequest& request) {
  if (auto status = CheckSku(request.sku()); !status.ok()) return status;
  if (request.delta() == 0 || request.delta() > kMaxUnits || request.delta() < -kMaxUnits) {
    return errors::InvalidField("delta", "must be -10^12 to 10^12 and not 0");
  }
  if (!validation::IsKey(request.adjustment_id())) {
    return errors::InvalidField("adjustment_id", validation::kKeyRule);
  }
  if (request.reason().size() > kMaxText) return errors::InvalidField("reason", "must be at most 200 bytes");
  return AdjustCommand{request.adjustment_id(), request.sku(), request.delta(), request.reason()};
}

absl::Status ToStatus(Outcome outcome, const std::string& sku) {
  using absl::StatusCode;
  switch (outcome) {
    case Outcome::kOk:
      return absl::OkStatus();
    case Outcome::kOutOfStock:
      return errors::Make(StatusCode::kFailedPrecondition, "OUT_OF_STOCK", "too few units of " + sku, {{"sku", sku}});
    case Outcome::kUnknownSku:
      return errors::Make(StatusCode::kNotFound, "UNKNOWN_SKU", "there is no SKU " + sku, {{"sku", sku}});
    case Outcome::kCurrencyMismatch:
      return errors::Make(StatusCode::kFailedPrecondition, "CURRENCY_MISMATCH",
                          sku + " is priced in another currency than the lines before", {{"sku", sku}});
    case Outcome::kMismatch:
      return errors::Make(StatusCode::kAlreadyExists, "RESERVATION_MISMATCH", "the order has reserved other lines");
    case Outcome::kReleased:
      return errors::Make(StatusCode::kFailedPrecondition, "RESERVATION_RELEASED", "the reservation was released");
    case Outcome::kExpired:
      return errors::Make(StatusCode::kFailedPrecondition, "RESERVATION_EXPIRED", "the hold has run out");
    case Outcome::kConfirmed:
      return errors::Make(StatusCode::kFailedPrecondition, "RESERVATION_CONFIRMED", "the units are sold");
    case Outcome::kUnknownReservation:
      return errors::Make(StatusCode::kNotFound, "UNKNOWN_RESERVATION", "the order has reserved nothing");
  }
  return absl::InternalError("unknown outcome of a reservation");
}

absl::Status ToStatus(AdjustOutcome outcome, const std::string& sku) {
  switch (outcome) {
    case AdjustOutcome::kDone:
    case AdjustOutcome::kRepeated:
      return absl::OkStatus();
    case AdjustOutcome::kOutOfStock:
      return ToStatus(Outcome::kOutOfStock, sku);
    case AdjustOutcome::kUnknownSku:
      return ToStatus(Outcome::kUnknownSku, sku);
    case AdjustOutcome::kIdReused:
      return errors::Make(absl::StatusCode::kAlreadyExists, "IDEMPOTENCY_KEY_REUSED",
                          "this adjustment_id was used for another SKU or delta");
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
  return stock;
}

v1::ReserveResponse ToProto(const Hold& hold) {
  v1::ReserveResponse response;
  for (const Line& line : hold.lines) {
    auto* out = response.add_lines();
    out->set_sku(line.sku);
    out->set_quantity(line.quantity);
    out->mutable_unit_price()->set_minor_units(line.unit_price);
    out->mutable_unit_price()->set_currency_code(hold.currency);
  }
  *response.mutable_expires_at() =
      google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(hold.expires_at));
  return response;
}

}  // namespace flotilla::inventory
