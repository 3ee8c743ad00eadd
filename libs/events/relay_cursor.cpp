#include "events/relay_cursor.h"

#include <stdexcept>
#include <utility>

namespace flotilla::events {
namespace {

constexpr char kCreate[] =
    "INSERT INTO relay_cursor (name, snapshot, position, published) VALUES ($1, '1:1:', 0, 0) ON CONFLICT DO NOTHING";
constexpr char kRead[] =
    "SELECT snapshot::text, draining::text, published, stream_created, stream_sequence,"
    " drained_of::text IS NOT DISTINCT FROM draining::text AS drained, drained_xid, drained_position,"
    " pg_snapshot_xmax(snapshot) > pg_snapshot_xmax(pg_current_snapshot()) AS ahead FROM relay_cursor WHERE name = $1";
constexpr char kSaveName[] = "save_cursor";
// `position` is read by the version before, which counts a backlog in positions: for it the backlog begins anew.
constexpr char kSave[] =
    "UPDATE relay_cursor SET snapshot = $2::pg_snapshot, draining = $3::pg_snapshot, position = 0, published = $4,"
    " stream_created = $5, stream_sequence = $6, drained_of = $3::pg_snapshot, drained_xid = $7::xid8,"
    " drained_position = $8 WHERE name = $1";

}  // namespace

void Cursor::Drain(std::string snapshot, Place from) {
  draining = std::move(snapshot);
  progress = {.after = from, .ahead = {}};
}

void Cursor::Drained() {
  seen = Snapshot(std::move(draining));
  draining.clear();
  progress = {};
}

Cursor ReadCursor(pqxx::connection& connection, const std::string& name) {
  connection.prepare(kSaveName, kSave);
  pqxx::nontransaction session(connection);
  session.exec_params(kCreate, name);
  const pqxx::row row = session.exec_params1(kRead, name);
  if (row["ahead"].as<bool>()) {
    throw std::runtime_error(
        "the cursor is ahead of this cluster's transactions: the database was restored from a dump (see event.sql)");
  }
  Cursor cursor;
  cursor.seen = Snapshot(row["snapshot"].as<std::string>());
  if (!row["draining"].is_null()) cursor.draining = row["draining"].as<std::string>();
  if (!cursor.draining.empty() && row["drained"].as<bool>()) {
    cursor.progress.after = {row["drained_xid"].as<std::uint64_t>(), row["drained_position"].as<std::int64_t>()};
  }
  cursor.published = row["published"].as<std::int64_t>();
  cursor.mark = {.created = row["stream_created"].as<std::int64_t>(),
                 .sequence = row["stream_sequence"].as<std::int64_t>()};
  return cursor;
}

void SaveCursor(pqxx::connection& connection, const std::string& name, const Cursor& cursor) {
  pqxx::nontransaction(connection)
      .exec_prepared(kSaveName, name, cursor.seen.text, cursor.draining.empty() ? nullptr : cursor.draining.c_str(),
                     cursor.published, cursor.mark.created, cursor.mark.sequence, cursor.progress.after.xid,
                     cursor.progress.after.position);
}

}  // namespace flotilla::events
