#include "checker/facts.h"

#include <algorithm>
#include <optional>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "checker/sql.h"
#include "flotilla/order/v1/order_event.pb.h"
#include "postgres/session.h"

namespace flotilla::checker {
namespace {

std::vector<std::string> Elements(const pqxx::field& field) {
  std::vector<std::string> out;
  if (field.is_null()) return out;
  auto parser = field.as_array();
  for (auto item = parser.get_next(); item.first != pqxx::array_parser::done; item = parser.get_next()) {
    if (item.first == pqxx::array_parser::string_value) out.push_back(std::move(item.second));
  }
  return out;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

const char* EventType(int state) {
  switch (state) {
    case kReserved:
      return "order.reserved";
    case kPaid:
      return "order.paid";
    case kCancelled:
      return "order.cancelled";
    case kCancelling:
      return "order.cancelling";
    case kAwaitingPayment:
      return "order.awaiting_payment";
    case kRefunding:
      return "order.refunding";
    case kOrderRefunded:
      return "order.refunded";
    case kPartiallyRefunded:
      return "order.partially_refunded";
    default:
      return "no event type";
  }
}

bool MayFollow(int from, int to) {
  switch (from) {
    case kReserved:
      return to == kPaid || to == kCancelled || to == kAwaitingPayment;
    case kAwaitingPayment:
      return to == kReserved || to == kCancelling;
    case kPaid:
    case kPartiallyRefunded:
      return to == kCancelling || to == kRefunding;
    case kRefunding:
      return to == kOrderRefunded || to == kPartiallyRefunded;
    case kCancelling:
      return to == kCancelled;
    default:
      return false;
  }
}

// Bits of all states.
constexpr std::uint16_t kAnyState = 0xffff;

// Follows one order's events from the first one that the log still has; the first problem of an order is enough.
class Path {
 public:
  Path(std::string stream, Facts& facts, Report& report)
      : stream_(std::move(stream)), id_(ParseId(stream_.c_str())), facts_(facts), report_(report) {
    const auto it = id_ == 0 ? facts.orders.end() : facts.orders.find(id_);
    if (it != facts.orders.end()) {
      order_ = &it->second;
      order_->has_events = true;
    } else {
      Problem("has events but no row");
    }
  }

  const std::string& stream() const { return stream_; }

  void Add(std::int64_t sequence, const std::string& event_id, const std::string& type, const std::string& data) {
    if (id_ != 0) facts_.events.try_emplace({id_, sequence});
    if (order_ == nullptr) return;
    if (count_ == 0 && sequence > 1 && order_->may_begin_late) {
      count_ = sequence - 1;
      order_->visited = kAnyState;
    }
    const bool kept_from_here = count_ > 0 && state_ == kNoOrder;
    if (sequence != ++count_) Problem(absl::StrCat("event ", count_, " is missing, ", sequence, " is there"));
    if (event_id != absl::StrCat(stream_, "/", sequence)) Problem("event " + event_id + " stands in its stream");
    order::v1::OrderEvent event;
    if (!event.ParseFromString(data)) return Problem(absl::StrCat("event ", sequence, " cannot be read"));
    last_ = std::move(*event.mutable_order());
    const int state = last_.state();
    if (type != EventType(state)) {
      Problem(
          absl::StrCat("event ", sequence, " is ", type, " but its state is ", Name(static_cast<OrderState>(state))));
    }
    if (last_.order_id() != stream_ || last_.user_id() != order_->user || last_.version() != sequence) {
      Problem(absl::StrCat("event ", sequence, " tells of another order, user or version"));
    }
    if (state_ == kNoOrder ? state != kReserved && !kept_from_here : !MayFollow(state_, state)) {
      Problem(absl::StrCat("event ", sequence, " goes from ", Name(static_cast<OrderState>(state_)), " to ",
                           Name(static_cast<OrderState>(state))));
    }
    state_ = state;
    if (state >= kReserved && state <= kPartiallyRefunded) order_->visited |= static_cast<std::uint16_t>(1 << state);
  }

  // The events fold to the row.
  void End() {
    if (order_ == nullptr) return;
    if (count_ != order_->version) {
      Problem(absl::StrCat("version is ", order_->version, ", it has ", count_, " events"));
    }
    std::vector<LineFact> lines;
    for (const auto& line : last_.lines()) {
      lines.push_back({line.sku(), line.quantity(), line.unit_price().minor_units()});
    }
    const auto differs = [this](const char* what) { Problem(absl::StrCat("its events come to another ", what)); };
    if (state_ != order_->state) differs("state");
    if (last_.total().minor_units() != order_->total) differs("total");
    if (last_.total().currency_code() != order_->currency) differs("currency");
    if (last_.cancel_reason() != order_->cancel_reason) differs("cancel reason");
    if (last_.refunded().minor_units() != order_->refunded) differs("refunded amount");
    if (LinesHash(std::move(lines)) != order_->lines) differs("list of lines");
  }

 private:
  void Problem(const std::string& what) {
    if (!wrong_) report_.Violate(Promise::kHistory, absl::StrCat("order ", stream_, ": ", what));
    wrong_ = true;
  }

  const std::string stream_;
  const OrderId id_;
  Facts& facts_;
  Report& report_;
  OrderFact* order_ = nullptr;
  bool wrong_ = false;
  std::int64_t count_ = 0;
  int state_ = kNoOrder;
  order::v1::Order last_;
};

}  // namespace

OrderId ParseId(const char* uuid) {
  OrderId id = 0;
  int digits = 0;
  for (; *uuid != '\0'; ++uuid) {
    if (*uuid == '-') continue;
    const int digit = HexDigit(*uuid);
    if (digit < 0 || ++digits > 32) return 0;
    id = (id << 4) | static_cast<unsigned>(digit);
  }
  return digits == 32 ? id : 0;
}

std::string ToString(OrderId id) {
  std::string text;
  for (int i = 0; i < 32; ++i) {
    if (i == 8 || i == 12 || i == 16 || i == 20) text.push_back('-');
    text.push_back("0123456789abcdef"[static_cast<unsigned>((id >> (124 - 4 * i)) & 15)]);
  }
  return text;
}

const char* Name(OrderState state) {
  constexpr const char* kNames[] = {"absent",           "RESERVED",  "PAID",     "CANCELLED",         "CANCELLING",
                                    "AWAITING_PAYMENT", "REFUNDING", "REFUNDED", "PARTIALLY_REFUNDED"};
  return state >= 0 && state <= 8 ? kNames[state] : "in no known state";
}

const char* Name(ChargeState state) {
  constexpr const char* kNames[] = {"absent", "charged",    "refused",  "refunded",
                                    "voided", "authorized", "awaiting", "out of time"};
  return state >= 0 && state <= 7 ? kNames[state] : "in no known state";
}

const char* Name(ReservationState state) {
  constexpr const char* kNames[] = {"absent", "HELD", "CONFIRMED", "RELEASED", "EXPIRED"};
  return state >= 0 && state <= 4 ? kNames[state] : "in no known state";
}

std::uint64_t LinesHash(std::vector<LineFact> lines) {
  std::sort(lines.begin(), lines.end(), [](const LineFact& a, const LineFact& b) { return a.sku < b.sku; });
  std::uint64_t hash = lines.size();
  for (const LineFact& line : lines) hash = absl::HashOf(hash, line.sku, line.quantity, line.unit_price);
  return hash;
}

std::vector<LineFact> Lines(const pqxx::field& skus, const pqxx::field& quantities, const pqxx::field& unit_prices) {
  std::vector<std::string> names = Elements(skus);
  const std::vector<std::string> counts = Elements(quantities);
  const std::vector<std::string> prices = Elements(unit_prices);
  std::vector<LineFact> lines(names.size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    lines[i].sku = std::move(names[i]);
    if (i < counts.size()) lines[i].quantity = std::stoll(counts[i]);
    if (i < prices.size()) lines[i].unit_price = std::stoll(prices[i]);
  }
  return lines;
}

void LoadOrders(Snapshot& order, const ClientLog* log, Facts& facts, Report& report) {
  order.Stream(sql::kOrders, [&](const pqxx::row& row) {
    const OrderId id = ParseId(row[0].c_str());
    OrderFact fact;
    fact.user = row[1].c_str();
    fact.state = static_cast<OrderState>(row[3].as<int>());
    std::vector<LineFact> lines = Lines(row[4], row[5], row[6]);
    fact.currency = row[7].c_str();
    fact.total = row[8].as<std::int64_t>();
    fact.cancel_reason = row[9].c_str();
    fact.version = row[10].as<std::int64_t>();
    fact.refunded = row[11].as<std::int64_t>();
    fact.may_begin_late = row[12].as<bool>();
    fact.may_have_no_events = row[13].as<bool>();
    absl::int128 sum = 0;
    for (const LineFact& line : lines) sum += absl::int128(line.quantity) * line.unit_price;
    if (sum != fact.total) {
      report.Violate(Promise::kOnce, absl::StrCat("order ", ToString(id), ": total is not the sum of its lines"));
    }
    fact.lines = LinesHash(std::move(lines));
    if (log != nullptr) {
      std::pair<std::string, std::string> key(fact.user, row[2].c_str());
      if (log->creates.contains(key)) facts.logged.try_emplace(std::move(key), id);
    }
    const auto [it, inserted] = facts.orders.try_emplace(id, std::move(fact));
    if (!inserted) report.Violate(Promise::kOnce, absl::StrCat("order ", ToString(id), ": belongs to two users"));
  });
  for (const auto& row : order.Query(sql::kKeyProblems)) report.Violate(Promise::kOnce, row[0].c_str());
}

void LoadEvents(Snapshot& order, Facts& facts, Report& report) {
  std::optional<Path> path;
  std::int64_t count = 0;
  order.Stream(sql::kEvents, [&](const pqxx::row& row) {
    ++count;
    if (!path.has_value() || path->stream() != row[0].c_str()) {
      if (path.has_value()) path->End();
      path.emplace(row[0].c_str(), facts, report);
    }
    path->Add(row[1].as<std::int64_t>(), row[2].c_str(), row[3].c_str(), postgres::FromBytes(row[4].c_str()));
  });
  if (path.has_value()) path->End();
  for (auto& [id, fact] : facts.orders) {
    if (fact.has_events) continue;
    fact.visited = kAnyState;
    if (!fact.may_have_no_events)
      report.Violate(Promise::kHistory, absl::StrCat("order ", ToString(id), ": has no events"));
  }
  report.Judged(Promise::kHistory, static_cast<std::int64_t>(facts.orders.size()), "orders");
  report.Judged(Promise::kHistory, count, "events");
}

void LoadSagas(Snapshot& order, bool quiescent, bool allow_parked, Facts& facts, Report& report) {
  std::int64_t running = 0;
  std::int64_t parked = 0;
  order.Stream(sql::kSagas, [&](const pqxx::row& row) {
    if (const auto it = facts.orders.find(ParseId(row[0].c_str())); it != facts.orders.end()) {
      it->second.has_saga = true;
    }
    const bool is_parked = row[2].as<int>() == 2;
    ++(is_parked ? parked : running);
    if (is_parked ? !allow_parked : quiescent) {
      report.Violate(Promise::kSagas, absl::StrCat("saga ", row[1].c_str(), " ", row[0].c_str(),
                                                   is_parked ? " is parked" : " has not ended"));
    }
  });
  report.Judged(Promise::kSagas, running, "running");
  report.Judged(Promise::kSagas, parked, "parked");
}

}  // namespace flotilla::checker
