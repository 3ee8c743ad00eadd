#include "saga/store.h"

#include "failpoint/failpoint.h"

namespace flotilla::saga {
namespace {

using postgres::Array;
using postgres::Statement;
using postgres::Transaction;

const Statement kBegin = {"saga_begin", R"(
    INSERT INTO saga (type, id, version, data, fence, traceparent, owner, lease_until)
    SELECT i.*, $7, clock_timestamp() + $8::bigint * interval '1 microsecond'
    FROM unnest($1::text[], $2::text[], $3::int[], $4::bytea[], $5::bigint[], $6::text[])
      AS i(type, id, version, data, fence, traceparent))"};

const Statement kEnd = {"saga_end", "SELECT saga_end($1::text[], $2::text[], $3::bigint[])"};

const Statement kEndAll = {"saga_end_all",
                           "SELECT require_rows($4, count(*)) FROM saga_end($1::text[], $2::text[], $3::bigint[])"};

const Statement kClaim = {"saga_claim", R"(
    SELECT (claimed).type, (claimed).id, (claimed).version, (claimed).direction, (claimed).data, (claimed).reason,
           (claimed).fence, (claimed).traceparent, (extract(epoch FROM waited) * 1000000)::bigint,
           (extract(epoch FROM age) * 1000000)::bigint, orphaned, orphaned OR (claimed).troubled, (claimed).takeovers
    FROM saga_claim($1, $2::bigint * interval '1 microsecond', $3::text[], $4::int))"};

const Statement kRenew = {"saga_renew", "SELECT saga_renew($1, $2::bigint * interval '1 microsecond')"};

const Statement kLook = {"saga_look", "SELECT place, held FROM saga_look($1::text[], $2::text[], $3::bigint[])"};

const Statement kOverdue = {"saga_overdue", R"(
    SELECT type, id, fence FROM saga WHERE direction < 2 AND lease_until < now() AND owner = $1)"};

const Statement kDisown = {"saga_disown", R"(
    UPDATE saga s SET owner = '', fence = s.fence + 1, troubled = true FROM unnest($2::text[], $3::text[], $4::bigint[]) AS i(type, id, fence)
    WHERE s.type = i.type AND s.id = i.id AND s.fence = i.fence AND s.owner = $1)"};

const Statement kLeave = {"saga_leave", "SELECT saga_leave($1, $2::text[], $3::text[], $4::bigint[])"};

const Statement kDecide = {"saga_decide",
                           "SELECT saga_decide($1::text[], $2::text[], $3::bigint[], $4::smallint[], $5::text[], "
                           "$6::text[], $7::boolean[])"};

const Statement kWriteHistory = {"saga_write_history", R"(
    INSERT INTO saga_history (type, id, kind, step, attempt, error, owner)
    SELECT i.*, $7
    FROM unnest($1::text[], $2::text[], $3::smallint[], $4::text[], $5::int[], $6::text[])
      AS i(type, id, kind, step, attempt, error))"};

// Instances clean up side by side.
constexpr std::int64_t kDropBatch = 1000;

const Statement kDropHistory = {"saga_drop_history", R"(
    WITH dropped AS (
      DELETE FROM saga_history h
      USING (SELECT type, id, sequence FROM saga_history o
             WHERE at < now() - $1::bigint * interval '1 microsecond'
               AND NOT EXISTS (SELECT FROM saga s WHERE s.type = o.type AND s.id = o.id)
             ORDER BY at LIMIT $2::bigint FOR UPDATE SKIP LOCKED) old
      WHERE h.type = old.type AND h.id = old.id AND h.sequence = old.sequence RETURNING 1)
    SELECT count(*) FROM dropped)"};

const Statement kDropArchive = {"saga_drop_archive", R"(
    WITH dropped AS (
      DELETE FROM saga_archive a
      USING (SELECT type, id, archived_at FROM saga_archive
             WHERE archived_at < now() - $1::bigint * interval '1 microsecond'
             ORDER BY archived_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED) old
      WHERE a.type = old.type AND a.id = old.id AND a.archived_at = old.archived_at RETURNING 1)
    SELECT count(*) FROM dropped)"};

const Statement kDropOwners = {"saga_drop_owners", R"(
    DELETE FROM saga_owner WHERE owner = ANY (ARRAY(
      SELECT owner FROM saga_owner WHERE lease_until < now() - interval '1 day' LIMIT 1000 FOR UPDATE SKIP LOCKED)))"};

const Statement kSummarize = {"saga_summarize", R"(
    SELECT count(*) FILTER (WHERE direction < 2), count(*) FILTER (WHERE direction = 2),
           coalesce(extract(epoch FROM now() - min(created_at) FILTER (WHERE direction < 2)), 0)::float8,
           count(*) FILTER (WHERE direction < 2 AND type || '/' || version <> ALL ($1::text[]))
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

// "type/version", as the statements compare them.
postgres::Parameter Names(std::span<const KnownDefinition> known) {
  std::vector<std::string> names;
  for (const auto& definition : known) names.push_back(definition.type + "/" + std::to_string(definition.version));
  return Array(names);
}

// Positions from 1, as the functions return them.
std::vector<bool> Matched(const postgres::Rows& positions, std::size_t count) {
  std::vector<bool> matched(count, false);
  for (const auto& row : positions) matched[row[0].as<std::size_t>() - 1] = true;
  return matched;
}

}  // namespace

postgres::Rights Rights() {
  return {
      {"INSERT, DELETE", "saga, saga_owner, saga_history, saga_archive"},
      {"UPDATE (owner, fence, lease_until, direction, parked_from, parked_step, reason, error, compensable, troubled,"
       " takeovers)",
       "saga"},
      {"UPDATE (lease_until)", "saga_owner"},
      {"UPDATE (at)", "saga_history"},           // to lock rows
      {"UPDATE (archived_at)", "saga_archive"},  // to lock rows
      {"INSERT", "operator_act"}};
}

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
  transaction.Defer(kBegin, Array(keys.types), Array(keys.ids), Array(versions), postgres::ByteArray(data),
                    Array(keys.fences), Array(traces), owner, absl::ToInt64Microseconds(lease));
}

std::vector<std::string> End(Transaction& transaction, std::span<const Record> records) {
  Keys keys;
  for (const Record& record : records) keys.Add(record);
  const std::vector<bool> matched =
      Matched(transaction.Run(kEnd, Array(keys.types), Array(keys.ids), Array(keys.fences)), records.size());
  std::vector<std::string> ended;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (matched[i]) ended.push_back(records[i].id);
  }
  return ended;
}

void EndAll(Transaction& transaction, std::span<const Record> records) {
  if (records.empty()) return;
  Keys keys;
  for (const Record& record : records) keys.Add(record);
  transaction.Defer(kEndAll, Array(keys.types), Array(keys.ids), Array(keys.fences),
                    static_cast<std::int64_t>(records.size()));
}

absl::StatusOr<std::vector<Claimed>> Store::Claim(const std::string& owner, absl::Duration lease,
                                                  std::span<const KnownDefinition> known, std::size_t limit) {
  const postgres::Parameter names = Names(known);
  std::vector<Claimed> claimed;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    claimed.clear();
    for (const auto& row :
         transaction.Run(kClaim, owner, absl::ToInt64Microseconds(lease), names, static_cast<std::int64_t>(limit))) {
      Record item;
      item.type = row[0].c_str();
      item.id = row[1].c_str();
      item.version = row[2].as<int>();
      item.direction = static_cast<Direction>(row[3].as<int>());
      item.data = postgres::FromBytes(row[4].c_str());
      item.reason = row[5].c_str();
      item.fence = row[6].as<std::int64_t>();
      item.traceparent = row[7].c_str();
      item.age = absl::Microseconds(row[9].as<std::int64_t>());
      claimed.push_back({.record = std::move(item),
                         .waited = absl::Microseconds(row[8].as<std::int64_t>()),
                         .orphaned = row[10].as<bool>(),
                         .troubled = row[11].as<bool>(),
                         .takeovers = row[12].as<int>()});
    }
    return claimed.empty() ? absl::OkStatus() : FLOTILLA_FAILPOINT("saga.claim.before");
  });
  if (!status.ok()) return status;
  if (!claimed.empty()) {
    if (absl::Status lost = FLOTILLA_FAILPOINT("saga.claim.after"); !lost.ok()) return lost;
  }
  return claimed;
}

absl::StatusOr<bool> Store::Renew(const std::string& owner, absl::Duration lease) {
  bool held = false;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    held = transaction.Run(kRenew, owner, absl::ToInt64Microseconds(lease))[0][0].as<bool>();
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return held;
}

absl::StatusOr<std::vector<Hold>> Store::Look(std::span<const Record> records) {
  Keys keys;
  for (const Record& record : records) keys.Add(record);
  std::vector<Hold> holds;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    holds.assign(records.size(), Hold::kUnsure);
    for (const auto& row : transaction.Run(kLook, Array(keys.types), Array(keys.ids), Array(keys.fences))) {
      holds[row[0].as<std::size_t>() - 1] = row[1].as<bool>() ? Hold::kHeld : Hold::kLost;
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return holds;
}

absl::StatusOr<std::vector<Record>> Store::Overdue(const std::string& owner) {
  std::vector<Record> records;
  const absl::Status status = session_.Read([&](Transaction& transaction) {
    records.clear();
    for (const auto& row : transaction.Run(kOverdue, owner)) {
      Record record;
      record.type = row[0].c_str();
      record.id = row[1].c_str();
      record.fence = row[2].as<std::int64_t>();
      records.push_back(std::move(record));
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return records;
}

absl::Status Store::Disown(const std::string& owner, std::span<const Record> records) {
  Keys keys;
  for (const Record& record : records) keys.Add(record);
  return session_.Transact([&](Transaction& transaction) {
    transaction.Defer(kDisown, owner, Array(keys.types), Array(keys.ids), Array(keys.fences));
    return absl::OkStatus();
  });
}

absl::Status Store::Leave(const std::string& owner, std::span<const Record> records) {
  Keys keys;
  for (const Record& record : records) keys.Add(record);
  return session_.Transact([&](Transaction& transaction) {
    transaction.Defer(kLeave, owner, Array(keys.types), Array(keys.ids), Array(keys.fences));
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<bool>> Store::Decide(std::span<const Decision> decisions) {
  Keys keys;
  std::vector<std::int64_t> directions, compensables;
  std::vector<std::string> texts, steps;
  for (const Decision& decision : decisions) {
    keys.Add(decision.record);
    directions.push_back(static_cast<int>(decision.direction));
    texts.push_back(decision.text);
    steps.push_back(decision.step);
    compensables.push_back(decision.compensable ? 1 : 0);
  }
  std::vector<bool> held;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    held = Matched(transaction.Run(kDecide, Array(keys.types), Array(keys.ids), Array(keys.fences), Array(directions),
                                   Array(texts), Array(steps), Array(compensables)),
                   decisions.size());
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return held;
}

absl::Status Store::WriteHistory(const std::string& owner, std::span<const Remark> remarks) {
  std::vector<std::string_view> types, ids, steps, errors;
  std::vector<std::int64_t> kinds, attempts;
  for (const Remark& remark : remarks) {
    types.push_back(remark.type);
    ids.push_back(remark.id);
    kinds.push_back(static_cast<int>(remark.kind));
    steps.push_back(remark.step);
    attempts.push_back(remark.attempt);
    errors.push_back(remark.error);
  }
  return session_.Transact([&](Transaction& transaction) {
    transaction.Defer(kWriteHistory, Array(types), Array(ids), Array(kinds), Array(steps), Array(attempts),
                      Array(errors), owner);
    return absl::OkStatus();
  });
}

absl::StatusOr<bool> Store::DropOld(absl::Duration age) {
  bool more = false;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    more = false;
    for (const Statement& drop : {kDropHistory, kDropArchive}) {
      const auto dropped = transaction.Run(drop, absl::ToInt64Microseconds(age), kDropBatch)[0][0].as<std::int64_t>();
      more = more || dropped == kDropBatch;
    }
    transaction.Defer(kDropOwners);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return more;
}

absl::StatusOr<Summary> Store::Summarize(std::span<const KnownDefinition> known) {
  Summary summary;
  const absl::Status status = session_.Transact([&](Transaction& transaction) {
    // This one reads the whole table. Where sessions shun scans, the planner's penalty for it sets off a JIT
    // compilation of 0.3 s.
    transaction.DeferSql("SET LOCAL enable_seqscan = on");
    const auto row = transaction.Run(kSummarize, Names(known))[0];
    summary = {row[0].as<std::int64_t>(), row[1].as<std::int64_t>(), row[2].as<double>(), row[3].as<std::int64_t>()};
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return summary;
}

}  // namespace flotilla::saga
