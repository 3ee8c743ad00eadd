#include "rebuild/rebuild.h"

#include <optional>
#include <pqxx/pqxx>
#include <utility>

#include "absl/strings/str_cat.h"
#include "flotilla/order/v1/order_event.pb.h"
#include "order/codec/codec.h"
#include "postgres/connection.h"
#include "postgres/rows.h"

namespace flotilla::rebuild {
namespace {

using order::Order;

constexpr std::size_t kExamples = 20;
constexpr int kRowsAFetch = 2000;

// Both by the bytes of the ids, as they are compared here.
constexpr char kEvents[] = "SELECT stream_id, sequence, data FROM event ORDER BY stream_id COLLATE \"C\", sequence";
constexpr char kOrders[] =
    "SELECT order_id, user_id, state, skus, quantities, unit_prices, currency, total, cancel_reason, version,"
    " (extract(epoch FROM created_at) * 1000000)::bigint, (extract(epoch FROM updated_at) * 1000000)::bigint"
    " FROM orders ORDER BY order_id::text COLLATE \"C\"";

// Where parts were dropped, the log begins where the last of them ended; microseconds since the epoch, else 0.
constexpr char kLogStart[] =
    "SELECT coalesce((extract(epoch FROM max(ends_at)) * 1000000)::bigint, 0) FROM event_part"
    " WHERE dropped_at IS NOT NULL";
// Between the clocks of services and database.
constexpr absl::Duration kClockSkew = absl::Minutes(1);

// A query's rows, one after the other, by a server-side cursor.
class Rows {
 public:
  Rows(pqxx::work& work, const char* name, const char* query) : work_(work), name_(name) {
    work_.exec(absl::StrCat("DECLARE ", name, " NO SCROLL CURSOR FOR ", query));
  }
  // Nothing at the end.
  std::optional<pqxx::row> Next() {
    if (index_ == rows_.size()) {
      rows_ = work_.exec(absl::StrCat("FETCH ", kRowsAFetch, " FROM ", name_));
      index_ = 0;
      if (rows_.empty()) return std::nullopt;
    }
    return rows_[index_++];
  }

 private:
  pqxx::work& work_;
  const char* name_;
  pqxx::result rows_;
  pqxx::result::size_type index_ = 0;
};

Order FromRow(const pqxx::row& row) {
  Order order;
  order.order_id = row[0].c_str();
  order.user_id = row[1].c_str();
  order.state = static_cast<order::State>(row[2].as<int>());
  const auto skus = postgres::Elements(row[3].c_str()), quantities = postgres::Elements(row[4].c_str()),
             prices = postgres::Elements(row[5].c_str());
  for (std::size_t i = 0; i < skus.size(); ++i) {
    order.lines.push_back({skus[i], std::stoll(quantities.at(i)), std::stoll(prices.at(i))});
  }
  order.currency = row[6].c_str();
  order.total = row[7].as<std::int64_t>();
  order.cancel_reason = row[8].c_str();
  order.version = row[9].as<std::int64_t>();
  order.created_at = absl::FromUnixMicros(row[10].as<std::int64_t>());
  order.updated_at = absl::FromUnixMicros(row[11].as<std::int64_t>());
  return order;
}

// One stream after the other, folded.
class Streams {
 public:
  explicit Streams(pqxx::work& work) : rows_(work, "events", kEvents), row_(rows_.Next()) {}

  struct Folded {
    std::string id;
    std::int64_t first = 0;  // sequence of its first event
    std::optional<Order> order;
    std::string fault;  // where there is no order
  };
  std::optional<Folded> Next() {
    if (!row_.has_value()) return std::nullopt;
    Folded folded{(*row_)[0].c_str(), (*row_)[1].as<std::int64_t>(), std::nullopt, ""};
    for (std::int64_t expected = folded.first; row_.has_value() && folded.id == (*row_)[0].c_str();
         row_ = rows_.Next()) {
      ++events_;
      if (!folded.fault.empty()) continue;
      Apply(folded, expected++);
    }
    if (!folded.fault.empty()) folded.order.reset();
    return folded;
  }
  std::int64_t events() const { return events_; }

 private:
  void Apply(Folded& folded, std::int64_t expected) {
    order::v1::OrderEvent event;
    if ((*row_)[1].as<std::int64_t>() != expected) {
      folded.fault = absl::StrCat("event ", expected, " is missing");
    } else if (!event.ParseFromString(postgres::FromBytes((*row_)[2].c_str()))) {
      folded.fault = absl::StrCat("event ", expected, " cannot be read");
    } else {
      folded.order = order::FromProto(event.order());
    }
  }

  Rows rows_;
  std::optional<pqxx::row> row_;
  std::int64_t events_ = 0;
};

// What is first found to differ; empty where nothing does.
std::string Difference(const Order& log, const Order& table) {
  if (log == table) return "";
  if (log.version != table.version) {
    return absl::StrCat("the log is at version ", log.version, ", the table at ", table.version);
  }
  if (log.state != table.state) {
    return absl::StrCat("its state is ", static_cast<int>(log.state), " by the log, ", static_cast<int>(table.state),
                        " in the table");
  }
  if (log.user_id != table.user_id) return "it is another user's";
  if (log.total != table.total || log.currency != table.currency) return "the total differs";
  if (log.lines != table.lines) return "the lines differ";
  if (log.cancel_reason != table.cancel_reason) return "the cancel reason differs";
  return "the times differ";
}

Report Merge(pqxx::work& work) {
  Report report;
  Rows orders(work, "orders_by_id", kOrders);
  Streams streams(work);
  const auto differs = [&](const std::string& id, const std::string& what) {
    if (what.empty()) return;
    ++report.differences;
    if (report.examples.size() < kExamples) report.examples.push_back(absl::StrCat("order ", id, ": ", what));
  };
  const absl::Time log_start = absl::FromUnixMicros(work.exec1(kLogStart)[0].as<std::int64_t>()) + kClockSkew;
  auto row = orders.Next();
  auto stream = streams.Next();
  while (row.has_value() || stream.has_value()) {
    const std::string id = row.has_value() ? (*row)[0].c_str() : "";
    if (!row.has_value() || (stream.has_value() && stream->id < id)) {
      differs(stream->id, "it has events but no row");
      stream = streams.Next();
      continue;
    }
    ++report.orders;
    const Order order = FromRow(*row);
    const bool logged = stream.has_value() && stream->id == id;
    const bool whole = logged && stream->first == 1;
    const bool older = !whole && order.created_at < log_start;
    if (older) ++report.older;
    if (!logged) {
      differs(id, older ? "" : "it has a row but no events");
    } else {
      if (!whole && !older) stream->fault = "event 1 is missing";
      differs(id, stream->fault.empty() ? Difference(*stream->order, order) : stream->fault);
      stream = streams.Next();
    }
    row = orders.Next();
  }
  report.events = streams.events();
  return report;
}

}  // namespace

absl::StatusOr<Report> Compare(const postgres::Options& options) {
  postgres::Options patient = options;
  patient.statement_timeout = patient.lock_timeout = absl::ZeroDuration();
  try {
    const auto connection = postgres::Connect(patient);
    pqxx::work work(*connection);
    work.exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
    return Merge(work);
  } catch (const pqxx::broken_connection& error) {
    return absl::UnavailableError(postgres::FirstLine(error.what()));
  } catch (const std::exception& error) {
    return absl::InternalError(postgres::FirstLine(error.what()));
  }
}

}  // namespace flotilla::rebuild
