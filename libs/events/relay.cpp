#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <pqxx/pqxx>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "events/log.h"
#include "events/nats_client.h"
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
constexpr absl::Duration kAckTimeout = absl::Seconds(2);  // since the last ack
constexpr absl::Duration kMaxBackoff = absl::Seconds(1);

constexpr char kLock[] = "SELECT pg_try_advisory_lock(hashtextextended('flotilla relay ' || $1, 0))";

constexpr char kCreateCursor[] =
    "INSERT INTO relay_cursor (name, snapshot, position, published) VALUES ($1, '1:1:', 0, 0) ON CONFLICT DO NOTHING";
constexpr char kReadCursor[] =
    "SELECT snapshot::text, draining::text, position, published,"
    " pg_snapshot_xmax(snapshot) > pg_snapshot_xmax(pg_current_snapshot()) AS ahead FROM relay_cursor WHERE name = $1";
constexpr char kMoveCursor[] =
    "UPDATE relay_cursor SET snapshot = $2::pg_snapshot, draining = $3::pg_snapshot, position = $4, published = $5"
    " WHERE name = $1";

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
  explicit Impl(RelayOptions o) : options(std::move(o)) {
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
    leading = true;
    telemetry::Info("relay: leading", {{"stream", options.stream}, {"published", absl::StrCat(published)}});
    return true;
  }

  // One look at the log. Throws when the database fails.
  void Step() {
    const absl::Time started = absl::Now();
    woken = false;  // before reading: a commit after this wakes again
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
    Run("move_cursor", options.stream, seen.text, draining.empty() ? nullptr : draining.c_str(), position, published);
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

  // Repeats until everything is acknowledged (repeats are dropped by JetStream, which knows the ids). False: stopping.
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
    if (absl::Status status = EnsureNats(); !status.ok()) return status;
    ++generation;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const pqxx::row& row = rows[i].row;
      const pqxx::field data_field = row[5];
      const std::string data = postgres::FromBytes(View(data_field));
      const std::string reply = absl::StrCat(inbox, ".", generation, "-", i);
      natsMsg* raw = nullptr;
      natsStatus status =
          natsMsg_Create(&raw, options.subject.c_str(), reply.c_str(), data.data(), static_cast<int>(data.size()));
      const NatsMessage message(raw);
      const auto header = [&](const char* name, const pqxx::field& value) {
        if (status == NATS_OK) status = natsMsgHeader_Set(raw, name, value.c_str());
      };
      header("Nats-Msg-Id", row[3]);
      header(kStreamIdHeader, row[1]);
      header(kSequenceHeader, row[2]);
      header(kTypeHeader, row[4]);
      header(kOccurredAtHeader, row[7]);
      if (row[6].size() > 0) header(kTraceparentHeader, row[6]);
      if (status == NATS_OK) status = natsConnection_PublishMsg(nats.get(), raw);
      if (status != NATS_OK) return NatsError("publish", status);
    }
    return CollectAcks(rows.size());
  }

  absl::Status CollectAcks(std::size_t count) {
    std::vector<bool> acked(count);
    std::size_t missing = count;
    absl::Time deadline = absl::Now() + kAckTimeout;
    while (missing > 0) {
      natsMsg* raw = nullptr;
      const natsStatus status = natsSubscription_NextMsg(&raw, acks.get(), 50);
      const NatsMessage message(raw);
      if (status == NATS_TIMEOUT) {
        if (natsConnection_Status(nats.get()) != NATS_CONN_STATUS_CONNECTED)
          return NatsError("acks", NATS_CONNECTION_DISCONNECTED);
        if (absl::Now() > deadline) return NatsError("acks", NATS_TIMEOUT);
        if (Stopping()) return NatsError("acks", NATS_TIMEOUT);
        continue;
      }
      if (status != NATS_OK) {
        nats.reset();
        return NatsError("acks", status);
      }
      const std::string_view subject(natsMsg_GetSubject(raw));
      const std::string_view token = subject.substr(inbox.size() + 1);
      std::uint64_t batch = 0;
      std::size_t index = 0;
      const auto first = std::from_chars(token.data(), token.data() + token.size(), batch);
      if (batch != generation || first.ptr == token.data() + token.size()) continue;  // a late ack of an earlier try
      std::from_chars(first.ptr + 1, token.data() + token.size(), index);
      if (index >= count || acked[index]) continue;
      if (natsMsg_IsNoResponders(raw)) {
        stream_known = false;  // nobody listens: the stream is gone
        return NatsError("stream " + options.stream, NATS_NO_RESPONDERS);
      }
      const std::string_view reply(natsMsg_GetData(raw), static_cast<std::size_t>(natsMsg_GetDataLength(raw)));
      if (reply.find("\"error\"") != std::string_view::npos) {
        stream_known = false;
        return absl::UnavailableError("nats: publish refused: " + std::string(reply));
      }
      acked[index] = true;
      --missing;
      deadline = absl::Now() + kAckTimeout;
    }
    return absl::OkStatus();
  }

  absl::Status EnsureNats() {
    if (nats && natsConnection_IsClosed(nats.get())) nats.reset();
    if (!nats) {
      acks.reset();
      stream_known = false;
      auto opened = ConnectNats(options.nats, options.postgres.application_name);
      if (!opened.ok()) return opened.status();
      nats = *std::move(opened);
      natsInbox* name = nullptr;
      natsStatus status = natsInbox_Create(&name);
      if (status == NATS_OK) {
        inbox = name;
        natsInbox_Destroy(name);
        natsSubscription* raw = nullptr;
        status = natsConnection_SubscribeSync(&raw, nats.get(), (inbox + ".*").c_str());
        acks.reset(raw);
        if (status == NATS_OK) status = natsSubscription_SetPendingLimits(raw, -1, -1);
      }
      if (status != NATS_OK) {
        acks.reset();
        nats.reset();
        return NatsError("subscribe", status);
      }
    }
    if (natsConnection_Status(nats.get()) != NATS_CONN_STATUS_CONNECTED) {
      return NatsError("connection", NATS_CONNECTION_DISCONNECTED);
    }
    if (stream_known) return absl::OkStatus();
    const auto js = OpenJetStream(nats.get());
    if (!js.ok()) return js.status();
    absl::Status status = EnsureStream(js->get(), options.stream, options.subject);
    stream_known = status.ok();
    return status;
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
  NatsConnection nats;
  NatsSubscription acks;
  std::string inbox;
  std::uint64_t generation = 0;
  bool stream_known = false;
  bool nats_away = false;

  std::thread thread;
};

Relay::Relay(RelayOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Relay::~Relay() = default;
void Relay::Wake() { impl_->Wake(); }
std::int64_t Relay::lag() const { return impl_->lag; }

}  // namespace flotilla::events
