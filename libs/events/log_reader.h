// Within this room: reads the event log.
#pragma once

#include <cstdint>
#include <optional>
#include <pqxx/pqxx>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "events/log.h"

namespace flotilla::events {

// A pg_snapshot, "xmin:xmax:xip,xip,...", in the parts that a query by xid needs.
struct Snapshot {
  explicit Snapshot(std::string t = "1:1:");  // sees nothing
  std::string text;
  std::uint64_t xmin = 1;
  std::string xmax;
  std::string in_progress;  // array literal
};

// Of a row, in the order in which a backlog is read: by transaction, within it by position.
struct Place {
  std::uint64_t xid = 0;
  std::int64_t position = 0;
  auto operator<=>(const Place&) const = default;
};

struct Row {
  Place place;
  Event event;
};

// All of it goes by the index (xid, position) or, for single rows, by the stream's; none looks at rows that were read
// before. Results are in the order of writing (by position), which is also each stream's. Throws as libpqxx does.
class LogReader {
 public:
  // The connection outlives it. Its plans are made once, for any number of parts.
  explicit LogReader(pqxx::connection& connection);

  struct News {
    std::vector<Row> rows;
    std::string snapshot;   // the statement's; empty where there are no rows
    bool complete = false;  // all there are
  };
  // What `seen` does not see.
  News ReadNew(const Snapshot& seen, std::size_t limit);

  // How far the reading of a backlog has come.
  struct Progress {
    Place after;
    std::set<Place> ahead;  // rows behind it that were fetched ahead
  };
  struct Backlog {
    std::vector<Row> rows;
    Progress next;
    bool end = false;
  };
  // What `seen` does not see and `upto` does, up to `limit` rows. With them come those behind that earlier rows of the
  // same streams are in: a transaction with a lower number may have written later.
  Backlog ReadBacklog(const Snapshot& seen, const std::string& upto, const Progress& progress, std::size_t limit);
  // What is visible and was appended from `from` until before `to`, likewise.
  struct Range {
    absl::Time from;
    absl::Time to;
    std::uint64_t last_xid = 0;
  };
  Backlog ReadRange(const Range& range, const Progress& progress, std::size_t limit);
  // One stream's rows after a sequence, in order.
  std::vector<Row> ReadStream(const std::string& stream_id, std::int64_t after, std::size_t limit);

  // The last transaction up to which everything was appended before `time`, by halving; 0 where there is none.
  std::uint64_t LastBefore(absl::Time time);
  // The place before the first row that `seen` does not see; nothing where it sees all.
  std::optional<Place> BeforeNew(const Snapshot& seen);
  // A snapshot of now.
  std::string Now();
  // Positions given so far.
  std::int64_t LastPosition();

 private:
  template <class... Args>
  pqxx::result Run(const char* statement, Args&&... args) {
    return pqxx::nontransaction(connection_).exec_prepared(statement, std::forward<Args>(args)...);
  }
  Backlog Finish(const pqxx::result& result, const Progress& progress, std::size_t limit, const Snapshot& seen,
                 const std::string& upto);
  void FetchAhead(Backlog& backlog, const Snapshot& seen, const std::string& upto);

  pqxx::connection& connection_;
};

}  // namespace flotilla::events
