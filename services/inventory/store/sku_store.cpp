#include "inventory/store/sku_store.h"

#include <set>

#include "absl/strings/str_split.h"
#include "inventory/store/sku_rows.h"

namespace flotilla::inventory {
namespace {

using postgres::Array;
using postgres::Statement;
using postgres::Transaction;

// Zero stands for NULL in the rules' arrays; times are microseconds. A SKU that is new gets its first movement, too.
const Statement kPut = {"put_skus", R"(
    WITH put AS (
      INSERT INTO sku AS s (sku, name, price_minor, currency, initial, available, user_limit, sale_starts_at,
                            sale_ends_at, sale_price_minor, low_stock_threshold)
      SELECT i.sku, i.name, i.price, i.currency, i.initial, i.initial, nullif(i.user_limit, 0),
             timestamptz 'epoch' + nullif(i.starts, 0) * interval '1 microsecond',
             timestamptz 'epoch' + nullif(i.ends, 0) * interval '1 microsecond', nullif(i.sale_price, 0), i.threshold
      FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bpchar[], $5::bigint[], $6::bigint[], $7::bigint[],
                  $8::bigint[], $9::bigint[], $10::bigint[])
        AS i(sku, name, price, currency, initial, user_limit, starts, ends, sale_price, threshold)
      ORDER BY i.sku
      ON CONFLICT (sku) DO UPDATE
        SET name = excluded.name, price_minor = excluded.price_minor, currency = excluded.currency,
            user_limit = excluded.user_limit, sale_starts_at = excluded.sale_starts_at,
            sale_ends_at = excluded.sale_ends_at, sale_price_minor = excluded.sale_price_minor,
            low_stock_threshold = excluded.low_stock_threshold, changed = pg_current_xact_id()
      RETURNING s.*, s.xmax = 0 AS created),
    moved AS (
      INSERT INTO stock_movement (sku, delta, reason, reference)
      SELECT sku, initial, 1, '' FROM put WHERE created AND initial > 0 ORDER BY sku)
    SELECT )" SKU_COLUMNS ", s.created FROM put s"};

const Statement kRead = {"read_skus", "SELECT " SKU_COLUMNS " FROM sku s WHERE s.sku = ANY($1::text[])"};

// A prefix is a range of bytes; its end is the prefix with a byte that no SKU holds.
const Statement kList = {"list_skus", "SELECT " SKU_COLUMNS R"( FROM sku s
    WHERE s.sku COLLATE "C" > $1 AND s.sku COLLATE "C" >= $2 AND s.sku COLLATE "C" < $2 || '~'
    ORDER BY s.sku COLLATE "C" LIMIT $3::int)"};

const Statement kListLow = {"list_low_skus", "SELECT " SKU_COLUMNS R"( FROM sku s
    WHERE s.sku COLLATE "C" > $1 AND s.sku COLLATE "C" >= $2 AND s.sku COLLATE "C" < $2 || '~'
      AND s.low_stock_threshold > 0 AND s.available <= s.low_stock_threshold
    ORDER BY s.sku COLLATE "C" LIMIT $3::int)"};

const Statement kScan = {"scan_skus", R"(
    SELECT sku, available FROM sku WHERE sku COLLATE "C" > $1 ORDER BY sku COLLATE "C" LIMIT $2::int)"};

const Statement kMark = {"mark_skus", "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"};

// One field for many names: they are read by the million.
const Statement kNames = {"name_skus", R"(
    SELECT string_agg(sku, ' ') FROM (
      SELECT sku FROM sku WHERE sku COLLATE "C" > $1 ORDER BY sku COLLATE "C" LIMIT $2::int) AS page)"};

const Statement kRestricted = {"restricted_skus", "SELECT s.sku, " RULES_COLUMNS R"( FROM sku s
    WHERE s.user_limit IS NOT NULL OR s.sale_starts_at IS NOT NULL OR s.sale_ends_at IS NOT NULL)"};

const Statement kChanged = {"changed_skus", "SELECT s.sku, " RULES_COLUMNS R"( FROM sku s
    WHERE s.changed >= $1::xid8)"};

std::int64_t MicrosOrZero(absl::Time time) {
  return time == absl::InfinitePast() || time == absl::InfiniteFuture() ? 0 : absl::ToUnixMicros(time);
}

std::vector<Listing> ListingsFrom(const postgres::Rows& rows) {
  std::vector<Listing> listings;
  for (const auto& row : rows) listings.push_back({row[0].c_str(), RulesFrom(row, 1)});
  return listings;
}

}  // namespace

absl::StatusOr<std::map<std::string, PutSkuResult>> SkuStore::Put(std::span<const PutSkuCommand> commands) {
  std::vector<std::string> skus, names, currencies;
  std::vector<std::int64_t> prices, initials, limits, starts, ends, sale_prices, thresholds;
  for (const PutSkuCommand& command : commands) {
    skus.push_back(command.sku);
    names.push_back(command.name);
    prices.push_back(command.price);
    currencies.push_back(command.currency);
    initials.push_back(command.initial);
    limits.push_back(command.rules.user_limit);
    starts.push_back(MicrosOrZero(command.rules.sale_start));
    ends.push_back(MicrosOrZero(command.rules.sale_end));
    sale_prices.push_back(command.rules.sale_price.value_or(0));
    thresholds.push_back(command.low_stock_threshold);
  }
  std::map<std::string, PutSkuResult> results;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    results.clear();
    for (const auto& row :
         transaction.Run(kPut, Array(skus), Array(names), Array(prices), Array(currencies), Array(initials),
                         Array(limits), Array(starts), Array(ends), Array(sale_prices), Array(thresholds))) {
      results[row[0].c_str()] = {SkuFrom(row), row[kSkuColumns].as<bool>()};
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return results;
}

absl::StatusOr<std::map<std::string, Sku>> SkuStore::Read(std::span<const std::string> skus) {
  const std::set<std::string> unique(skus.begin(), skus.end());
  const std::vector<std::string> names(unique.begin(), unique.end());
  std::map<std::string, Sku> found;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    found.clear();
    for (const auto& row : transaction.Run(kRead, Array(names))) found.emplace(row[0].c_str(), SkuFrom(row));
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return found;
}

absl::StatusOr<std::vector<Sku>> SkuStore::List(const SkuQuery& query) {
  std::vector<Sku> skus;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    skus.clear();
    for (const auto& row :
         transaction.Run(query.low_stock ? kListLow : kList, query.after, query.prefix, query.limit)) {
      skus.push_back(SkuFrom(row));
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return skus;
}

absl::StatusOr<std::vector<std::pair<std::string, std::int64_t>>> SkuStore::Scan(const std::string& after, int limit) {
  std::vector<std::pair<std::string, std::int64_t>> out;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    out.clear();
    for (const auto& row : transaction.Run(kScan, after, limit)) {
      out.emplace_back(row[0].c_str(), row[1].as<std::int64_t>());
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return out;
}

absl::StatusOr<std::string> SkuStore::Mark() {
  std::string mark;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    mark = transaction.Run(kMark)[0][0].c_str();
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return mark;
}

absl::StatusOr<std::vector<std::string>> SkuStore::Names(const std::string& after, int limit) {
  std::vector<std::string> names;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    const postgres::Rows rows = transaction.Run(kNames, after, limit);
    names = absl::StrSplit(rows[0][0].c_str(), ' ', absl::SkipEmpty());
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return names;
}

absl::StatusOr<std::vector<Listing>> SkuStore::Restricted() {
  std::vector<Listing> listings;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    listings = ListingsFrom(transaction.Run(kRestricted));
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return listings;
}

absl::StatusOr<SkuStore::Changes> SkuStore::ChangedSince(const std::string& mark) {
  Changes changes;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    // The mark comes from an older snapshot than the rows, so what commits between the two is seen again, not missed.
    changes.mark = transaction.Run(kMark)[0][0].c_str();
    changes.listings = ListingsFrom(transaction.Run(kChanged, mark));
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return changes;
}

}  // namespace flotilla::inventory
