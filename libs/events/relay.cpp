#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <optional>
#include <pqxx/pqxx>
#include <random>
#include <span>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "async/steady_time.h"
#include "events/age.h"
#include "events/envelope.h"
#include "events/log.h"
#include "events/log_reader.h"
#include "events/relay_cursor.h"
#include "events/span.h"
#include "events/stream_publisher.h"
#include "failpoint/failpoint.h"
#include "postgres/connection.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace flotilla::events {
namespace {

// Batches coalesce under load: the next one begins this long after the last one began, at the earliest.
constexpr absl::Duration kBatchPeriod = absl::Milliseconds(10);
// After a wake-up: nobody waits for an event as they wait for a reply, so the order that goes on meanwhile has the
// cores, and its next event shares the batch.
constexpr absl::Duration kLinger = absl::Milliseconds(3);
constexpr absl::Duration kLeaderRetry = absl::Milliseconds(500);
// A leader that publishes nothing for so long gives way: another instance may reach NATS. It stays away long enough for
// the others to try.
constexpr absl::Duration kPatience = absl::Seconds(5);
constexpr absl::Duration kAbsence = absl::Milliseconds(1200);
constexpr absl::Duration kStreamCheck = absl::Seconds(1);
constexpr absl::Duration kMaxBackoff = absl::Seconds(1);

constexpr char kLock[] = "SELECT pg_try_advisory_lock(hashtextextended('flotilla relay ' || $1, 0))";

}  // namespace

struct Relay::Impl {
  explicit Impl(RelayOptions o)
      : options(std::move(o)),
        publisher({.nats = options.nats,
                   .name = "relay " + options.stream,
                   .stream = options.stream,
                   .subject = options.subject,
                   .retention = options.retention}) {
    FLOTILLA_DECLARE_FAILPOINT("nats.publish");
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
        if (!leading && (async::SteadyNow() < lead_after || !Lead())) {
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
      StepDown();
      Sleep(backoff);
      backoff = std::min(2 * backoff, kMaxBackoff);
    }
  }

  // With the connection goes the leader's lock.
  void StepDown() {
    leading = false;
    log.reset();
    connection.reset();
  }

  void OpenConnection() {
    connection = postgres::Connect(options.postgres);
    // A cursor that is lost in a crash of the server only has the last events published again.
    // A leader that is frozen asks nothing; its connection ends, and with it its lock, so that another one leads.
    pqxx::nontransaction(*connection).exec("SET synchronous_commit = off; SET idle_session_timeout = '10s'");
    log.emplace(*connection);
  }

  bool Lead() {
    const pqxx::row locked = pqxx::nontransaction(*connection).exec_params1(kLock, options.stream);
    if (!locked[0].as<bool>()) {
      SetLag(0);  // it is the leader's to tell
      return false;
    }
    cursor = ReadCursor(*connection, options.stream);
    next_check = {};
    leading = true;
    telemetry::Info("relay: leading", {{"stream", options.stream}, {"published", absl::StrCat(cursor.published)}});
    return true;
  }

  // One look at the log. Throws when the database fails.
  void Step() {
    const async::SteadyTime started = async::SteadyNow();
    woken = false;  // before reading: a commit after this wakes again
    if (started >= next_look) {
      next_look = async::After(kStreamCheck, started);
      if (publisher.Connect().ok()) static_cast<void>(CheckStream());  // where it fails: again with the next batch
    }
    if (!cursor.draining.empty()) {
      Drain();
      return;
    }
    LogReader::News news = log->ReadNew(cursor.seen, read_limit);
    if (news.rows.empty()) {
      SetLag(0);
      if (WaitForWork(options.idle_poll)) Sleep(kLinger);
      return;
    }
    if (!news.complete) {
      StartDraining(news);
      return;
    }
    const std::span<const Row> rows = news.rows;
    SetLag(static_cast<std::int64_t>(rows.size()));
    Observe(read_age, rows);
    for (std::size_t done = 0; done < rows.size();) {
      const std::size_t count = std::min(options.max_batch, rows.size() - done);
      if (!PublishUntilDone(rows.subspan(done, count))) return;
      Observe(published_age, rows.subspan(done, count));
      done += count;
      SetLag(static_cast<std::int64_t>(rows.size() - done));
    }
    cursor.seen = Snapshot(std::move(news.snapshot));
    SaveCursor();
    Sleep(async::Until(async::After(kBatchPeriod, started)));
  }

  // More rows than one read: everything up to the snapshot goes out in pieces.
  void StartDraining(const LogReader::News& news) {
    cursor.Drain(news.snapshot, {.xid = cursor.seen.xmin});
    SetLag(log->LastPosition() - news.rows.front().place.position + 1);
    SaveCursor();
  }

  void Drain() {
    LogReader::Backlog backlog = log->ReadBacklog(cursor.seen, cursor.draining, cursor.progress, options.max_batch);
    if (!backlog.rows.empty() && !PublishUntilDone(backlog.rows)) return;
    SetLag(std::max<std::int64_t>(0, lag - static_cast<std::int64_t>(backlog.rows.size())));
    cursor.progress = std::move(backlog.next);
    if (backlog.end) cursor.Drained();
    SaveCursor();
  }

  void SaveCursor() { events::SaveCursor(*connection, options.stream, cursor); }

  // Repeats until everything is acknowledged (repeats are dropped by JetStream, which knows the ids). False: these rows
  // come again with others, because the cursor was moved back, the lead was given up, or the process stops.
  bool PublishUntilDone(std::span<const Row> rows) {
    std::vector<tracing::Span> spans;  // end with the function
    for (const Row& row : rows) AddSpan("publish", tracing::Kind::kProducer, row.event, spans);
    const std::vector<Message> messages = packer.Pack(rows);
    const async::SteadyTime give_way = async::After(kPatience);
    for (absl::Duration backoff = absl::Milliseconds(20); !Stopping(); backoff = std::min(2 * backoff, kMaxBackoff)) {
      const absl::Status status = Publish(messages);
      if (status.ok()) {
        if (nats_away) telemetry::Info("relay: publishing again", {{"stream", options.stream}});
        nats_away = false;
        cursor.published += static_cast<std::int64_t>(rows.size());
        published_counter.Increment(static_cast<double>(rows.size()));
        return true;
      }
      next_check = {};
      if (absl::IsDataLoss(status)) {
        // Durable before anything else: the messages just sent would hide the loss from the next check.
        cursor.mark.sequence = std::numeric_limits<std::int64_t>::max();
        SaveCursor();
      }
      if (absl::IsDataLoss(status) || absl::IsAborted(status)) return false;
      if (!nats_away) {
        telemetry::Warning("relay: cannot publish",
                           {{"stream", options.stream}, {"error", std::string(status.message())}});
      }
      nats_away = true;
      // Also notices a database connection that died meanwhile, and with it the lock.
      SetLag(log->LastPosition() - rows.front().place.position + 1);
      if (async::SteadyNow() >= give_way) {
        StepDown();
        lead_after = async::After(kAbsence);
        return false;
      }
      Sleep(backoff);
    }
    return false;
  }

  absl::Status Publish(std::span<const Message> messages) {
    if (absl::Status status = publisher.Connect(); !status.ok()) return status;
    if (absl::Status status = CheckStream(); !status.ok()) return status;
    return publisher.Publish(messages, cursor.mark);
  }

  // Once a second, and after every failure, whether there is something to publish or not: the stream must be the one
  // that took what the cursor has passed. ABORTED: it is not, and the cursor was moved back.
  absl::Status CheckStream() {
    if (async::SteadyNow() < next_check) return absl::OkStatus();
    absl::StatusOr<StreamMark> found = publisher.Find();
    if (found.ok() && found->created == 0) {
      // The cursor first: a crash in between moves it back again.
      const bool lost = cursor.published > 0;
      if (lost) Rewind({});
      found = publisher.Create();
      if (found.ok() && lost) return absl::AbortedError("the stream was gone");
    }
    if (!found.ok()) return found.status();
    if (cursor.mark.created == 0) {
      cursor.mark = *found;  // stored with the cursor's next move
    } else if (found->created == cursor.mark.created && found->sequence < cursor.mark.sequence) {
      if (auto status = publisher.Renew(); !status.ok()) return status;
      return absl::AbortedError("the stream had lost messages");
    } else if (found->created != cursor.mark.created) {
      Rewind(*found);
      return absl::AbortedError("the stream is another one");
    }
    next_check = async::After(kStreamCheck);
    return absl::OkStatus();
  }

  // What was appended within the retention is published again, as a backlog; with it all that is not published yet,
  // however old it is.
  void Rewind(StreamMark found) {
    // First: what commits from here on is not the backlog's.
    std::string now = log->Now();
    Place from{.xid = log->LastBefore(absl::Now() - options.retention)};
    if (const auto unpublished = log->BeforeNew(cursor.draining.empty() ? cursor.seen : Snapshot(cursor.draining))) {
      from = std::min(from, *unpublished);
    }
    if (!cursor.draining.empty()) from = std::min(from, cursor.progress.after);
    cursor.Drain(std::move(now), from);
    cursor.seen = Snapshot();
    cursor.mark = found;
    SaveCursor();
    telemetry::Warning("relay: NATS has lost its stream; the log is published again",
                       {{"stream", options.stream}, {"from_transaction", absl::StrCat(cursor.progress.after.xid)}});
  }

  static void Observe(Age& age, std::span<const Row> rows) {
    const absl::Time now = absl::Now();
    for (const Row& row : rows) age.Observe(row.event.occurred_at, now);
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
  Age read_age{"read"}, published_age{"published"};

  std::mutex mutex;
  std::condition_variable wakeup;
  bool stopping = false;
  std::atomic<bool> woken = false;

  // The thread's own.
  std::unique_ptr<pqxx::connection> connection;
  std::optional<LogReader> log;
  bool leading = false;
  Cursor cursor;
  async::SteadyTime lead_after = {};
  async::SteadyTime next_check = {};
  async::SteadyTime next_look = {};  // while there is nothing to publish
  StreamPublisher publisher;
  Packer packer{"", absl::StrCat(absl::Hex(std::random_device{}()), absl::Hex(std::random_device{}()), "/")};
  bool nats_away = false;

  std::thread thread;
};

Relay::Relay(RelayOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Relay::~Relay() = default;
void Relay::Wake() { impl_->Wake(); }
std::int64_t Relay::lag() const { return impl_->lag; }

}  // namespace flotilla::events
