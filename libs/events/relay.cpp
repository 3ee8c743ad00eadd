#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <pqxx/pqxx>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "events/log.h"
#include "events/stream_publisher.h"
#include "postgres/connection.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace flotilla::events {
namespace {

// Batches coalesce under load: the next one begins this long after the last one began, at the earliest.
constexpr absl::Duration kBatchPeriod = absl::Milliseconds(20);
// After a wake-up: nobody waits for an event as they wait for a reply, so the order that goes on meanwhile has the
// cores, and its next event shares the batch.
constexpr absl::Duration kLinger = absl::Milliseconds(10);
constexpr absl::Duration kLeaderRetry = absl::Milliseconds(500);
constexpr absl::Duration kStreamCheck = absl::Seconds(1);
constexpr absl::Duration kMaxBackoff = absl::Seconds(1);

constexpr char kLock[] = "SELECT pg_try_advisory_lock(hashtextextended('flotilla relay ' || $1, 0))";

constexpr char kCreateCursor[] =
    "INSERT INTO relay_cursor (name, snapshot, position, published) VALUES ($1, '1:1:', 0, 0) ON CONFLICT DO NOTHING";
constexpr char kReadCursor[] =
    "SELECT snapshot::text, draining::text, position, published, stream_created, stream_sequence,"
    " pg_snapshot_xmax(snapshot) > pg_snapshot_xmax(pg_current_snapshot()) AS ahead FROM relay_cursor WHERE name = $1";
constexpr char kMoveCursor[] =
    "UPDATE relay_cursor SET snapshot = $2::pg_snapshot, draining = $3::pg_snapshot, position = $4, published = $5,"
    " stream_created = $6, stream_sequence = $7 WHERE name = $1";

#define EVENT_COLUMNS                                                 \
  "position, stream_id, sequence, event_id, type, data, traceparent," \
  " (extract(epoch FROM occurred_at) * 1000000)::bigint AS occurred_at, pg_current_snapshot() AS snapshot"

// What the old snapshot did not see: transactions that began after it, and those it found in progress. Ordering by xid
// keeps even a generic plan on the index.
constexpr char kReadNew[] = "(SELECT " EVENT_COLUMNS
                            " FROM event WHERE xid >= $1::xid8 ORDER BY xid LIMIT $3)"
                            " UNION ALL (SELECT " EVENT_COLUMNS " FROM event WHERE xid = ANY ($2::xid8[]))";
constexpr char kReadBounds[] =
    "SELECT coalesce(min(position), 0), coalesce(max(position), 0) FROM event"
    " WHERE (xid >= $1::xid8 OR xid = ANY ($2::xid8[])) AND pg_visible_in_snapshot(xid, $3::pg_snapshot)";
constexpr char kReadBacklog[] = "SELECT " EVENT_COLUMNS
                                " FROM event WHERE position > $1 AND (xid >= $2::xid8 OR xid = ANY ($3::xid8[]))"
                                " AND pg_visible_in_snapshot(xid, $4::pg_snapshot) ORDER BY position LIMIT $5";
#undef EVENT_COLUMNS
constexpr char kReadTime[] =
    "SELECT position, (extract(epoch FROM occurred_at) * 1000000)::bigint FROM event WHERE position > $1"
    " ORDER BY position LIMIT 1";
constexpr char kReadLast[] = "SELECT coalesce(max(position), 0) FROM event";

// A pg_snapshot, "xmin:xmax:xip,xip,...", in the parts that a query by xid needs.
struct Snapshot {
  explicit Snapshot(std::string t = "1:1:") : text(std::move(t)) {
    const std::size_t first = text.find(':');
    const std::size_t second = text.find(':', first + 1);
    xmax = text.substr(first + 1, second - first - 1);
    in_progress = "{" + text.substr(second + 1) + "}";
  }
  std::string text;
  std::string xmax;
  std::string in_progress;  // array literal
};

std::string_view View(const pqxx::field& field) { return {field.c_str(), field.size()}; }

}  // namespace

struct Relay::Impl {
  explicit Impl(RelayOptions o)
      : options(std::move(o)),
        publisher({.nats = options.nats,
                   .name = "relay " + options.stream,
                   .stream = options.stream,
                   .subject = options.subject,
                   .retention = options.retention}) {
    options.postgres.application_name = "relay " + options.stream;
    // Rows read in one go while they keep up; beyond it they are a backlog.
    read_limit = std::max<std::size_t>(4096, 4 * options.max_batch);
    thread = std::thread([this] { Run(); });
  }

  ~Impl() {
    {
      std::lock_guard lock(mutex);
      stopping = true;
    }
    wakeup.notify_all();
    thread.join();
  }

  void Wake() {
    if (woken.exchange(true)) return;
    // The lock orders this with the thread between its check and its wait.
    {
      std::lock_guard lock(mutex);
    }
    wakeup.notify_one();
  }

  // True where a commit woke it.
  bool WaitForWork(absl::Duration limit) {
    std::unique_lock lock(mutex);
    return wakeup.wait_for(lock, absl::ToChronoNanoseconds(limit), [this] { return stopping || woken.load(); });
  }

  void Sleep(absl::Duration duration) {
    std::unique_lock lock(mutex);
    wakeup.wait_for(lock, absl::ToChronoNanoseconds(duration), [this] { return stopping; });
  }

  bool Stopping() {
    std::lock_guard lock(mutex);
    return stopping;
  }

  void Run() {
    absl::Duration backoff = absl::Milliseconds(50);
    while (!Stopping()) {
      try {
        if (!connection) OpenConnection();
        if (!leading && !Lead()) {
          Sleep(kLeaderRetry);
          continue;
        }
        Step();
        backoff = absl::Milliseconds(50);
        continue;
      } catch (const pqxx::sql_error& error) {
        telemetry::Warning("relay: database error", {{"stream", options.stream}, {"error", postgres::Describe(error)}});
      } catch (const std::exception& error) {
        telemetry::Warning("relay: failed", {{"stream", options.stream}, {"error", postgres::FirstLine(error.what())}});
      }
      // With the connection goes the leader's lock.
      leading = false;
      connection.reset();
      Sleep(backoff);
      backoff = std::min(2 * backoff, kMaxBackoff);
    }
  }

  void OpenConnection() {
    connection = postgres::Connect(options.postgres);
    // A cursor that is lost in a crash of the server only has the last events published again.
    pqxx::nontransaction(*connection).exec("SET synchronous_commit = off");
    connection->prepare("lock", kLock);
    connection->prepare("read_new", kReadNew);
    connection->prepare("read_backlog", kReadBacklog);
    connection->prepare("move_cursor", kMoveCursor);
  }

  template <class... Args>
  pqxx::result Run(const char* statement, Args&&... args) {
    return pqxx::nontransaction(*connection).exec_prepared(statement, std::forward<Args>(args)...);
  }

  bool Lead() {
    if (!Run("lock", options.stream)[0][0].as<bool>()) return false;
    pqxx::nontransaction session(*connection);
    session.exec_params(kCreateCursor, options.stream);
    const pqxx::row row = session.exec_params(kReadCursor, options.stream)[0];
    if (row["ahead"].as<bool>()) {
      throw std::runtime_error(
          "the cursor is ahead of this cluster's transactions: the database was restored from a dump (see event.sql)");
    }
    seen = Snapshot(row["snapshot"].as<std::string>());
    draining.clear();
    if (!row["draining"].is_null()) draining = row["draining"].as<std::string>();
    position = row["position"].as<std::int64_t>();
    published = row["published"].as<std::int64_t>();
    mark = {.created = row["stream_created"].as<std::int64_t>(), .sequence = row["stream_sequence"].as<std::int64_t>()};
    next_check = absl::InfinitePast();
    leading = true;
    telemetry::Info("relay: leading", {{"stream", options.stream}, {"published", absl::StrCat(published)}});
    return true;
  }

  // One look at the log. Throws when the database fails.
  void Step() {
    const absl::Time started = absl::Now();
    woken = false;  // before reading: a commit after this wakes again
    if (started >= next_look) {
      next_look = started + kStreamCheck;
      if (publisher.Connect().ok()) static_cast<void>(CheckStream());  // where it fails: again with the next batch
    }
    if (!draining.empty()) {
      Drain();
      return;
    }
    const pqxx::result rows = Run("read_new", seen.xmax, seen.in_progress, read_limit);
    if (rows.empty()) {
      SetLag(0);
      if (WaitForWork(options.idle_poll)) Sleep(kLinger);
      return;
    }
    if (rows.size() >= read_limit) {
      StartDraining(rows[0]["snapshot"].as<std::string>());
      return;
    }
    std::vector<Row> batch = Sorted(rows);
    SetLag(static_cast<std::int64_t>(batch.size()));
    for (std::size_t done = 0; done < batch.size();) {
      const std::size_t count = std::min(options.max_batch, batch.size() - done);
      if (!PublishUntilDone(std::span(batch).subspan(done, count))) return;
      done += count;
      SetLag(static_cast<std::int64_t>(batch.size() - done));
    }
    seen = Snapshot(rows[0]["snapshot"].as<std::string>());
    position = std::max(position, batch.back().position);
    SaveCursor();
    Sleep(started + kBatchPeriod - absl::Now());
  }

  // More rows than one read: everything up to `snapshot` goes out by position, in pieces.
  void StartDraining(const std::string& snapshot) {
    const pqxx::row bounds =
        pqxx::nontransaction(*connection).exec_params(kReadBounds, seen.xmax, seen.in_progress, snapshot)[0];
    draining = snapshot;
    position = bounds[0].as<std::int64_t>() - 1;
    SetLag(bounds[1].as<std::int64_t>() - position);
    SaveCursor();
  }

  void Drain() {
    const pqxx::result rows = Run("read_backlog", position, seen.xmax, seen.in_progress, draining, options.max_batch);
    if (!rows.empty()) {
      const std::vector<Row> batch = Sorted(rows);
      if (!PublishUntilDone(batch)) return;
      position = batch.back().position;
      SetLag(std::max<std::int64_t>(0, lag - static_cast<std::int64_t>(batch.size())));
    }
    if (rows.size() < options.max_batch) {
      seen = Snapshot(draining);
      draining.clear();
    }
    SaveCursor();
  }

  void SaveCursor() {
    Run("move_cursor", options.stream, seen.text, draining.empty() ? nullptr : draining.c_str(), position, published,
        mark.created, mark.sequence);
  }

  struct Row {
    std::int64_t position;
    pqxx::row row;
  };

  static std::vector<Row> Sorted(const pqxx::result& result) {
    std::vector<Row> rows;
    rows.reserve(result.size());
    for (const pqxx::row& row : result) rows.push_back({row[0].as<std::int64_t>(), row});
    std::ranges::sort(rows, {}, &Row::position);
    return rows;
  }

  // Repeats until everything is acknowledged (repeats are dropped by JetStream, which knows the ids). False: stopping,
  // or the cursor was moved back, and these rows come again with others.
  bool PublishUntilDone(std::span<const Row> rows) {
    for (absl::Duration backoff = absl::Milliseconds(20); !Stopping(); backoff = std::min(2 * backoff, kMaxBackoff)) {
      const absl::Status status = Publish(rows);
      if (status.ok()) {
        if (nats_away) telemetry::Info("relay: publishing again", {{"stream", options.stream}});
        nats_away = false;
        published += static_cast<std::int64_t>(rows.size());
        published_counter.Increment(static_cast<double>(rows.size()));
        return true;
      }
      next_check = absl::InfinitePast();
      if (absl::IsDataLoss(status)) Rewind({});
      if (absl::IsDataLoss(status) || absl::IsAborted(status)) return false;
      if (!nats_away) {
        telemetry::Warning("relay: cannot publish",
                           {{"stream", options.stream}, {"error", std::string(status.message())}});
      }
      nats_away = true;
      // Also notices a database connection that died meanwhile, and with it the lock.
      const auto last = pqxx::nontransaction(*connection).exec1(kReadLast)[0].as<std::int64_t>();
      SetLag(last - rows.front().position + 1);
      Sleep(backoff);
    }
    return false;
  }

  absl::Status Publish(std::span<const Row> rows) {
    if (absl::Status status = publisher.Connect(); !status.ok()) return status;
    if (absl::Status status = CheckStream(); !status.ok()) return status;
    std::vector<Message> messages;
    messages.reserve(rows.size());
    for (const auto& [_, row] : rows) {
      Message& message = messages.emplace_back();
      message.id = row["event_id"].c_str();
      message.data = postgres::FromBytes(View(row["data"]));
      message.headers = {{kStreamIdHeader, View(row["stream_id"])},
                         {kSequenceHeader, View(row["sequence"])},
                         {kTypeHeader, View(row["type"])},
                         {kOccurredAtHeader, View(row["occurred_at"])}};
      if (row["traceparent"].size() > 0) message.headers.emplace_back(kTraceparentHeader, View(row["traceparent"]));
    }
    return publisher.Publish(messages, mark);
  }

  // Once a second, and after every failure, whether there is something to publish or not: the stream must be the one
  // that took what the cursor has passed. ABORTED: it is not, and the cursor was moved back.
  absl::Status CheckStream() {
    if (absl::Now() < next_check) return absl::OkStatus();
    absl::StatusOr<StreamMark> found = publisher.Find();
    if (found.ok() && found->created == 0) {
      // The cursor first: a crash in between moves it back again.
      const bool lost = published > 0;
      if (lost) Rewind({});
      found = publisher.Create();
      if (found.ok() && lost) return absl::AbortedError("the stream was gone");
    }
    if (!found.ok()) return found.status();
    if (mark.created == 0) {
      mark = *found;  // stored with the cursor's next move
    } else if (found->created != mark.created || found->sequence < mark.sequence) {
      Rewind(*found);
      return absl::AbortedError("the stream is another one");
    }
    next_check = absl::Now() + kStreamCheck;
    return absl::OkStatus();
  }

  // What happened within the retention is published again, as a backlog, by position; with it all that is not published
  // yet, however old it is.
  void Rewind(StreamMark found) {
    pqxx::nontransaction session(*connection);
    const auto now = session.exec1("SELECT pg_current_snapshot()::text")[0].as<std::string>();
    const Snapshot known(draining.empty() ? seen.text : draining);
    const auto unpublished =
        session.exec_params1(kReadBounds, known.xmax, known.in_progress, now)[0].as<std::int64_t>();
    std::int64_t from = LastBefore(session, absl::Now() - options.retention);
    if (unpublished > 0) from = std::min(from, unpublished - 1);
    if (!draining.empty()) from = std::min(from, position);
    position = from;
    seen = Snapshot();
    draining = now;
    mark = found;
    session.exec_prepared("move_cursor", options.stream, seen.text, draining, position, published, mark.created,
                          mark.sequence);
    telemetry::Warning("relay: NATS has lost its stream; the log is published again",
                       {{"stream", options.stream}, {"after_position", absl::StrCat(position)}});
  }

  // The position before which everything is older than `time`, by halving: there is no index by time.
  static std::int64_t LastBefore(pqxx::nontransaction& session, absl::Time time) {
    std::int64_t low = 0;
    for (auto high = session.exec1(kReadLast)[0].as<std::int64_t>(); low < high;) {
      const std::int64_t middle = low + (high - low) / 2;
      const pqxx::result row = session.exec_params(kReadTime, middle);
      if (row.empty() || row[0][1].as<std::int64_t>() >= absl::ToUnixMicros(time)) {
        high = middle;
      } else {
        low = row[0][0].as<std::int64_t>();
      }
    }
    return low;
  }

  void SetLag(std::int64_t value) {
    lag = value;
    lag_gauge.Set(static_cast<double>(value));
  }

  RelayOptions options;
  std::size_t read_limit = 0;
  std::atomic<std::int64_t> lag = 0;
  prometheus::Gauge& lag_gauge = telemetry::Gauge("flotilla_outbox_lag", "Events not yet published.");
  prometheus::Counter& published_counter =
      telemetry::Counter("flotilla_events_published_total", "Events published to JetStream.");

  std::mutex mutex;
  std::condition_variable wakeup;
  bool stopping = false;
  std::atomic<bool> woken = false;

  // The thread's own.
  std::unique_ptr<pqxx::connection> connection;
  bool leading = false;
  Snapshot seen;         // published: all that this snapshot sees
  std::string draining;  // while a backlog is published: the snapshot at which it ends
  std::int64_t position = 0;
  std::int64_t published = 0;
  StreamMark mark;  // of the stream that took it
  absl::Time next_check = absl::InfinitePast();
  absl::Time next_look = absl::InfinitePast();  // while there is nothing to publish
  StreamPublisher publisher;
  bool nats_away = false;

  std::thread thread;
};

Relay::Relay(RelayOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Relay::~Relay() = default;
void Relay::Wake() { impl_->Wake(); }
std::int64_t Relay::lag() const { return impl_->lag; }

}  // namespace flotilla::events
