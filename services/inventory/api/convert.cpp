#include "inventory/api/convert.h"

#include <set>

#include "absl/strings/ascii.h"
#include "errors/errors.h"
#include "timestamp/timestamp.h"
#include "validation/validation.h"

namespace flotilla::inventory {
namespace {

using validation::IsName;

constexpr int kMaxLines = 100;
constexpr std::int64_t kMaxQuantity = 1000000;
constexpr absl::Duration kDefaultHold = absl::Minutes(5);
constexpr absl::Duration kShortestHold = absl::Seconds(1);
constexpr absl::Duration kLongestHold = absl::Hours(1);

absl::StatusOr<absl::Duration> ParseHold(const google::protobuf::Duration& duration, int index) {
  const absl::Duration hold = timestamp::FromProto(duration);
  if (hold < kShortestHold || hold > kLongestHold) return rpc::InvalidItem(index, "hold", "must be 1 s to 1 h");
  return hold;
}

}  // namespace

absl::StatusOr<std::string> ParseOrderId(const std::string& order_id, const std::string& field) {
  if (!validation::IsUuid(order_id)) return errors::InvalidField(field, validation::kUuidRule);
  return absl::AsciiStrToLower(order_id);
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
    const absl::StatusOr<absl::Duration> hold = ParseHold(request.hold(), index);
    if (!hold.ok()) return hold.status();
    command.hold = *hold;
  }
  if (!request.user_id().empty() && !IsName(request.user_id()))
    return rpc::InvalidItem(index, "user_id", validation::kNameRule);
  command.user_id = request.user_id();
  return command;
}

absl::StatusOr<ReleaseCommand> Parse(const v1::ReleaseRequest& request, int index) {
  if (!validation::IsUuid(request.order_id())) return rpc::InvalidItem(index, "order_id", validation::kUuidRule);
  return ReleaseCommand{absl::AsciiStrToLower(request.order_id()), request.return_sold()};
}

absl::StatusOr<ExtendCommand> Parse(const v1::ExtendHoldRequest& request) {
  absl::StatusOr<std::string> order_id = ParseOrderId(request.order_id());
  if (!order_id.ok()) return order_id.status();
  const absl::StatusOr<absl::Duration> hold = ParseHold(request.hold(), rpc::kNotInBatch);
  if (!hold.ok()) return hold.status();
  return ExtendCommand{*std::move(order_id), *hold};
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
    case Outcome::kPurchaseLimit:
      return errors::Make(StatusCode::kFailedPrecondition, "PURCHASE_LIMIT",
                          "the user would have more units of " + sku + " than one user may", {{"sku", sku}});
    case Outcome::kUserRequired:
      return errors::InvalidField("user_id", "is required: " + sku + " has a limit a user");
    case Outcome::kSaleNotStarted:
      return errors::Make(StatusCode::kFailedPrecondition, "SALE_NOT_STARTED", sku + " is not for sale yet",
                          {{"sku", sku}});
    case Outcome::kSaleEnded:
      return errors::Make(StatusCode::kFailedPrecondition, "SALE_ENDED", sku + " is no longer for sale",
                          {{"sku", sku}});
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

v1::ReserveResponse ToProto(const Hold& hold) {
  v1::ReserveResponse response;
  for (const Line& line : hold.lines) {
    auto* out = response.add_lines();
    out->set_sku(line.sku);
    out->set_quantity(line.quantity);
    out->mutable_unit_price()->set_minor_units(line.unit_price);
    out->mutable_unit_price()->set_currency_code(hold.currency);
  }
  *response.mutable_expires_at() = timestamp::ToProto(hold.expires_at);
  return response;
}

}  // namespace flotilla::inventory
