#include "saga/store.h"

#include "saga/migrations.h"

namespace flotilla::saga {
namespace {

using postgres::Array;
using postgres::Statement;
using postgres::Transaction;

const Statement kBegin = {"saga_begin", R"(
    INSERT INTO saga (type, id, version, data, fence, traceparent, owner, lease_until)
    SELECT i.*, $7, now() + $8::bigint * interval '1 microsecond'
    FROM unnest($1::text[], $2::text[], $3::int[], $4::bytea[], $5::bigint[], $6::text[])
      AS i(type, id, version, data, fence, traceparent))"};

const Statement kEnd = {"saga_end", R"(
    DELETE FROM saga s USING unnest($1::text[], $2::text[], $3::bigint[]) AS i(type, id, fence)
    WHERE s.type = i.type AND s.id = i.id AND s.fence = i.fence
    RETURNING s.id)"};

// SKIP LOCKED: instances claim side by side, none waits for another.
const Statement kClaim = {"saga_claim", R"(
    WITH orphan AS (
      SELECT s.type, s.id
      FROM saga s JOIN unnest($3::text[], $4::int[]) AS known(type, version)
        ON s.type = known.type AND s.version = known.version
      WHERE s.direction < 2 AND s.lease_until < now()
      ORDER BY s.lease_until LIMIT $5::int FOR UPDATE OF s SKIP LOCKED)
    UPDATE saga s SET owner = $1, fence = s.fence + 1, lease_until = now() + $2::bigint * interval '1 microsecond'
    FROM orphan o WHERE s.type = o.type AND s.id = o.id
    RETURNING s.type, s.id, s.version, s.direction, s.data, s.reason, s.fence, s.traceparent)"};

// SKIP LOCKED: a row that its own end or decision holds just now needs no renewal, and waiting for it would let the
// other leases run out (or deadlock with a commit that ends several of them). It still counts as held.
const Statement kRenew = {"saga_renew", R"(
    WITH item AS (SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[]) AS i(type, id, fence)),
    free AS (
      SELECT s.type, s.id FROM saga s JOIN item i ON s.type = i.type AND s.id = i.id AND s.fence = i.fence
      FOR NO KEY UPDATE OF s SKIP LOCKED),
    renewed AS (
      UPDATE saga s SET lease_until = now() + $4::bigint * interval '1 microsecond'
      FROM free f WHERE s.type = f.type AND s.id = f.id)
    SELECT s.type, s.id FROM saga s JOIN item i ON s.type = i.type AND s.id = i.id AND s.fence = i.fence)"};

const Statement kDecide = {"saga_decide", R"(
    UPDATE saga s
    SET direction = i.direction,
        parked_from = CASE WHEN i.direction = 2 AND s.direction < 2 THEN s.direction ELSE s.parked_from END,
        reason = CASE WHEN i.direction = 1 THEN i.text ELSE s.reason END,
        error = CASE WHEN i.direction = 2 THEN i.text ELSE s.error END
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::smallint[], $5::text[]) AS i(type, id, fence, direction, text)
    WHERE s.type = i.type AND s.id = i.id AND s.fence = i.fence
    RETURNING s.type, s.id)"};

const Statement kSummarize = {"saga_summarize", R"(
    SELECT count(*) FILTER (WHERE direction < 2), count(*) FILTER (WHERE direction = 2),
           coalesce(extract(epoch FROM now() - min(created_at) FILTER (WHERE direction < 2)), 0)::float8
    FROM saga)"};

struct Keys {
  std::vector<std::string> types, ids;
  std::vector<std::int64_t> fences;
  void Add(const Record& record) {
    types.push_back(record.type);
    ids.push_back(record.id);
    fences.push_back(record.fence);
  }
};

std::set<std::pair<std::string, std::string>> Pairs(const pqxx::result& rows) {
  std::set<std::pair<std::string, std::string>> out;
  for (const auto& row : rows) out.emplace(row[0].c_str(), row[1].c_str());
  return out;
}

}  // namespace

postgres::Migration SagaTableMigration() { return Migrations().front(); }

void Begin(Transaction& transaction, std::span<const Record> records, const std::string& owner, absl::Duration lease) {
  Keys keys;
  std::vector<std::int64_t> versions;
  std::vector<std::string_view> data, traces;
  for (const Record& record : records) {
    keys.Add(record);
    versions.push_back(record.version);
    data.push_back(record.data);
    traces.push_back(record.traceparent);
  }
  transaction.Run(kBegin, Array(keys.types), Array(keys.ids), Array(versions), postgres::ByteArray(data),
                  Array(keys.fences), Array(traces), owner, absl::ToInt64Microseconds(lease));
}

std::vector<std::string> End(Transaction& transaction, std::span<const Record> records) {
  Keys keys;
  for (const Record& record : records) keys.Add(record);
  std::vector<std::string> ended;
  for (const auto& row : transaction.Run(kEnd, Array(keys.types), Array(keys.ids), Array(keys.fences))) {
    ended.emplace_back(row[0].c_str());
  }
  return ended;
}

absl::StatusOr<std::vector<Record>> Store::Claim(const std::string& owner, absl::Duration lease,
                                                 std::span<const KnownDefinition> known, std::size_t limit) {
  std::vector<std::string> types;
  std::vector<std::int64_t> versions;
  for (const auto& definition : known) {
    types.push_back(definition.type);
    versions.push_back(definition.version);
  }
  std::vector<Record> claimed;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    claimed.clear();
    for (const auto& row : transaction.Run(kClaim, owner, absl::ToInt64Microseconds(lease), Array(types),
                                           Array(versions), static_cast<std::int64_t>(limit))) {
      Record item;
      item.type = row[0].c_str();
      item.id = row[1].c_str();
      item.version = row[2].as<int>();
      item.direction = static_cast<Direction>(row[3].as<int>());
      item.data = postgres::FromBytes(row[4].c_str());
      item.reason = row[5].c_str();
      item.fence = row[6].as<std::int64_t>();
      item.traceparent = row[7].c_str();
      claimed.push_back(std::move(item));
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return claimed;
}

absl::StatusOr<std::set<std::pair<std::string, std::string>>> Store::Renew(std::span<const Record> records,
                                                                           absl::Duration lease) {
  Keys keys;
  for (const Record& record : records) keys.Add(record);
  std::set<std::pair<std::string, std::string>> kept;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    kept = Pairs(transaction.Run(kRenew, Array(keys.types), Array(keys.ids), Array(keys.fences),
                                 absl::ToInt64Microseconds(lease)));
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return kept;
}

absl::StatusOr<std::vector<bool>> Store::Decide(std::span<const Decision> decisions) {
  Keys keys;
  std::vector<std::int64_t> directions;
  std::vector<std::string> texts;
  for (const Decision& decision : decisions) {
    keys.Add(decision.record);
    directions.push_back(static_cast<int>(decision.direction));
    texts.push_back(decision.text);
  }
  std::vector<bool> held;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    const auto matched = Pairs(transaction.Run(kDecide, Array(keys.types), Array(keys.ids), Array(keys.fences),
                                               Array(directions), Array(texts)));
    held.clear();
    for (const Decision& decision : decisions) {
      held.push_back(matched.contains({decision.record.type, decision.record.id}));
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return held;
}

absl::StatusOr<Summary> Store::Summarize() {
  Summary summary;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    const auto row = transaction.Run(kSummarize)[0];
    summary = {row[0].as<std::int64_t>(), row[1].as<std::int64_t>(), row[2].as<double>()};
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return summary;
}

}  // namespace flotilla::saga
