// Within this room: how far a relay has come, as kept in relay_cursor.
#pragma once

#include <cstdint>
#include <pqxx/pqxx>
#include <string>

#include "events/log_reader.h"
#include "events/stream_publisher.h"

namespace flotilla::events {

struct Cursor {
  Snapshot seen;                 // published: all that this snapshot sees
  std::string draining;          // while a backlog is published: the snapshot at which it ends
  LogReader::Progress progress;  // and how far that is
  std::int64_t published = 0;    // events, repeats included
  StreamMark mark;               // of the stream that took them

  // Everything after `from` that is not seen is published piece by piece, up to `snapshot`.
  void Drain(std::string snapshot, Place from);
  void Drained();
};

// Once a connection, before the first SaveCursor. Creates it where there is none. Throws as libpqxx does, and
// std::runtime_error where it cannot be of this cluster.
Cursor ReadCursor(pqxx::connection& connection, const std::string& name);
void SaveCursor(pqxx::connection& connection, const std::string& name, const Cursor& cursor);

}  // namespace flotilla::events
