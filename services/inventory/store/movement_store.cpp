#include "inventory/store/movement_store.h"

#include "inventory/store/low_stock.h"
#include "inventory/store/sku_rows.h"

namespace flotilla::inventory {
namespace {

using postgres::Statement;
using postgres::Transaction;

const Statement kReadSku = {"read_sku", "SELECT " SKU_COLUMNS " FROM sku s WHERE s.sku = $1"};

const Statement kInsert = {"insert_movement", R"(
    INSERT INTO stock_movement (sku, delta, reason, reference, note) VALUES ($1, $2::bigint, $3::smallint, $4, $5)
    ON CONFLICT (sku, reference) WHERE reason <> 1 DO NOTHING RETURNING movement_id)"};

const Statement kReadMovement = {"read_movement", R"(
    SELECT delta, reason FROM stock_movement WHERE sku = $1 AND reference = $2 AND reason <> 1)"};

const Statement kAdjust = {"adjust_stock", R"(
    UPDATE sku s SET available = s.available + $2::bigint, adjusted = s.adjusted + $2::bigint
    WHERE s.sku = $1 AND s.available + $2::bigint >= 0
    RETURNING )" SKU_COLUMNS};

const Statement kList = {"list_movements", R"(
    SELECT movement_id, sku, delta, reason, reference, note, (extract(epoch FROM created_at) * 1000000)::bigint
    FROM stock_movement WHERE sku = $1 AND movement_id > $2::bigint ORDER BY sku, movement_id LIMIT $3::int)"};

}  // namespace

absl::StatusOr<AdjustResult> MovementStore::Adjust(const AdjustCommand& command) {
  AdjustResult result;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    result = {};
    const postgres::Rows known = transaction.Run(kReadSku, command.sku);
    if (known.empty()) {
      result.outcome = AdjustOutcome::kUnknownSku;
      return absl::OkStatus();
    }
    const int reason = static_cast<int>(command.reason);
    if (transaction.Run(kInsert, command.sku, command.delta, reason, command.reference, command.note).empty()) {
      const postgres::Rows before = transaction.Run(kReadMovement, command.sku, command.reference);
      const bool same = before[0][0].as<std::int64_t>() == command.delta && before[0][1].as<int>() == reason;
      result.outcome = same ? AdjustOutcome::kRepeated : AdjustOutcome::kReferenceReused;
      result.sku = SkuFrom(known[0]);
      return absl::OkStatus();
    }
    const postgres::Rows rows = transaction.Run(kAdjust, command.sku, command.delta);
    if (rows.empty()) {
      result.outcome = AdjustOutcome::kOutOfStock;
      return absl::CancelledError("the movement's row must not stay");
    }
    result.sku = SkuFrom(rows[0]);
    const Sku& sku = result.sku;
    if (BecomesLow(sku.available, command.delta, sku.low_stock_threshold)) {
      const LowStock low{sku.sku, sku.available, sku.low_stock_threshold};
      AppendLowStock(transaction, {&low, 1});
    }
    return absl::OkStatus();
  });
  if (!status.ok() && result.outcome != AdjustOutcome::kOutOfStock) return status;
  return result;
}

absl::StatusOr<std::vector<Movement>> MovementStore::List(const MovementQuery& query) {
  std::vector<Movement> movements;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    movements.clear();
    for (const auto& row : transaction.Run(kList, query.sku, query.after, query.limit)) {
      movements.push_back({row[0].as<std::int64_t>(), row[1].c_str(), row[2].as<std::int64_t>(),
                           static_cast<MovementReason>(row[3].as<int>()), row[4].c_str(), row[5].c_str(),
                           absl::FromUnixMicros(row[6].as<std::int64_t>())});
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return movements;
}

}  // namespace flotilla::inventory
