#include "events/partitions.h"

#include <thread>

#include "absl/strings/str_cat.h"
#include "events/events_fixture.h"
#include "events/log_reader.h"
#include "postgres/connection.h"

namespace flotilla::events {
namespace {

class PartitionsTest : public EventsTest {
 protected:
  // A part that ended this long ago, with rows 1 to `rows` of a stream that is named after it.
  std::string OldPart(int days, int rows) {
    const std::string name = absl::StrCat("event_old", days);
    const std::string ends = absl::StrCat("now() - interval '", days, " days'");
    database.Query(absl::StrCat("CREATE TABLE ", name, " (LIKE event INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"));
    database.Query(absl::StrCat("INSERT INTO ", name,
                                " (position, stream_id, sequence, event_id, type, data, occurred_at, appended_at)"
                                " SELECT nextval(pg_get_serial_sequence('event', 'position')), '",
                                name, "', i, '", name, "/' || i, 'test.happened', '', now(), ", ends,
                                " - interval '1 hour' FROM generate_series(1, ", rows, ") i"));
    // Before the first part, whose range begins with the beginning: it is cut.
    if (database.Query("SELECT count(*) FROM event_part WHERE name = 'event_first' AND dropped_at IS NULL") == "1") {
      database.Query("DROP TABLE event_first");
      database.Query("DELETE FROM event_part WHERE name = 'event_first'");
    }
    database.Query(absl::StrCat("ALTER TABLE event ATTACH PARTITION ", name, " FOR VALUES FROM (now() - interval '",
                                days + 1, " days') TO (", ends, ")"));
    database.Query(absl::StrCat("INSERT INTO event_part (name, ends_at) SELECT '", name, "', ", ends));
    return name;
  }
  bool Exists(const std::string& table) const {
    return database.Query("SELECT to_regclass('" + table + "') IS NOT NULL") == "t";
  }
  std::string Drop() const { return database.Query("SELECT event_drop_parts()"); }
  std::string Make() const { return database.Query("SELECT event_make_parts()"); }
};

TEST_F(PartitionsTest, WhatWasThereStays) {
  postgres::TestDatabase old;
  const std::span<const postgres::Migration> all = LogMigrations();
  ASSERT_EQ(Migrate(old.options(), all.first(2), absl::ZeroDuration()), absl::OkStatus());
  old.Query(
      "INSERT INTO event (stream_id, sequence, event_id, type, data, occurred_at)"
      " SELECT 's' || i % 10, 1 + i / 10, 's' || i % 10 || '/' || 1 + i / 10, 't', 'data', now() - i * interval '1 day'"
      " FROM generate_series(0, 999) i");
  const std::string before =
      old.Query("SELECT md5(string_agg(position || event_id || xid, ',' ORDER BY position)) FROM event");
  ASSERT_EQ(Migrate(old.options(), all, absl::ZeroDuration()), absl::OkStatus());
  EXPECT_EQ(old.Query("SELECT md5(string_agg(position || event_id || xid, ',' ORDER BY position)) FROM event"), before);
  postgres::Session writer(old.options());
  ASSERT_EQ(writer.Transact([](postgres::Transaction& transaction) {
    Append(transaction, std::vector<Event>{MakeEvent("s0", 101)});
    return absl::OkStatus();
  }),
            absl::OkStatus());
  EXPECT_EQ(old.Query("SELECT max(position) FROM event"), "1001");
  const auto connection = postgres::Connect(old.options());
  EXPECT_EQ(LogReader(*connection).ReadNew(Snapshot(), 2000).rows.size(), 1001u);
}

TEST_F(PartitionsTest, PartsAreMadeAheadByOneOfMany) {
  EXPECT_EQ(Make(), "0");  // the migration has made them
  const std::string parts = database.Query("SELECT count(*) FROM event_part");
  ASSERT_EQ(SetLogPolicy(database.options(), {.period = absl::Hours(48), .retention = absl::Hours(48)}),
            absl::OkStatus());
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) callers.emplace_back([&] { Make(); });
  for (std::thread& caller : callers) caller.join();
  Make();  // where all of them met another at work
  EXPECT_NE(database.Query("SELECT count(*) FROM event_part"), parts);
  EXPECT_EQ(database.Query("SELECT max(ends_at) >= now() + interval '96 hours' FROM event_part"), "t");
  EXPECT_EQ(database.Query("SELECT count(*) FROM pg_inherits WHERE inhparent = 'event'::regclass"),
            database.Query("SELECT count(*) + 1 FROM event_part"));
}

TEST_F(PartitionsTest, WithoutAPartRowsWaitForOne) {
  ASSERT_EQ(AppendTo("a", 1, 10), absl::OkStatus());
  database.Query("UPDATE event SET appended_at = (SELECT max(ends_at) FROM event_part) + interval '1 hour'");
  EXPECT_EQ(database.Query("SELECT count(*) FROM event_default"), "10");
  const auto connection = postgres::Connect(database.options());
  LogReader reader(*connection);
  EXPECT_EQ(reader.ReadNew(Snapshot(), 100).rows.size(), 10u);
  ASSERT_EQ(SetLogPolicy(database.options(), {.period = absl::Hours(72), .retention = absl::Hours(72)}),
            absl::OkStatus());
  EXPECT_NE(Make(), "0");
  EXPECT_EQ(database.Query("SELECT count(*) FROM event_default"), "0");
  EXPECT_EQ(reader.ReadNew(Snapshot(), 100).rows.size(), 10u);
}

// Nobody made parts for three hours, and one is a minute long.
TEST_F(PartitionsTest, ManyMissingPartsAreMadeInBoundedCallsAndRowsWithoutOneAreCounted) {
  ASSERT_EQ(SetLogPolicy(database.options(), {.period = absl::Minutes(1), .retention = absl::Hours(48)}),
            absl::OkStatus());
  database.Query(
      "DO $$ DECLARE part text; BEGIN FOR part IN SELECT name FROM event_part LOOP"
      " EXECUTE format('DROP TABLE %I', part); END LOOP; END $$");
  database.Query("DELETE FROM event_part");
  database.Query("INSERT INTO event_part VALUES ('gone', now() - interval '3 hours', now())");
  ASSERT_EQ(AppendTo("a", 1, 10), absl::OkStatus());
  const auto waiting = [this] { return database.Query("SELECT event_rows_without_part()"); };
  EXPECT_EQ(waiting(), "10");
  for (int call = 0; call < 3; ++call) {
    EXPECT_EQ(Make(), "50");
    EXPECT_EQ(waiting(), "10") << "theirs is not made yet";
  }
  EXPECT_NE(Make(), "50");
  EXPECT_EQ(waiting(), "0");
  EXPECT_EQ(database.Query("SELECT count(*) FROM event"), "10");
}

TEST_F(PartitionsTest, OldPartsGoOnceTheyAreSent) {
  OldPart(40, 5);
  OldPart(30, 5);
  OldPart(3, 5);
  EXPECT_EQ(Drop(), "0");  // no relay has run
  database.Query("INSERT INTO relay_cursor (name, snapshot, position, published) VALUES ('x', '1:1:', 0, 0)");
  EXPECT_EQ(Drop(), "0");
  database.Query("UPDATE relay_cursor SET snapshot = pg_current_snapshot()");
  EXPECT_EQ(Drop(), "2");
  EXPECT_FALSE(Exists("event_old40"));
  EXPECT_FALSE(Exists("event_old30"));
  EXPECT_EQ(database.Query("SELECT count(*) FROM event"), "5");
  EXPECT_EQ(database.Query("SELECT count(*) FROM event_part WHERE dropped_at IS NOT NULL"), "2");
}

TEST_F(PartitionsTest, AnUnsentRowKeepsItsPartAndWhatFollows) {
  OldPart(40, 1);
  database.Query(
      "INSERT INTO relay_cursor (name, snapshot, position, published) VALUES ('x', pg_current_snapshot(), 0, 0)");
  OldPart(39, 1);  // after the cursor
  OldPart(38, 0);
  EXPECT_EQ(Drop(), "1");
  EXPECT_TRUE(Exists("event_old39"));
  EXPECT_TRUE(Exists("event_old38"));
  // A second log's relay counts as well.
  database.Query("UPDATE relay_cursor SET snapshot = pg_current_snapshot()");
  database.Query("INSERT INTO relay_cursor (name, snapshot, position, published) VALUES ('y', '1:1:', 0, 0)");
  EXPECT_EQ(Drop(), "0");
  database.Query("DELETE FROM relay_cursor WHERE name = 'y'");
  EXPECT_EQ(Drop(), "2");
}

// A row that is not yet committed when its part is looked at.
TEST_F(PartitionsTest, AnOpenTransactionKeepsThePart) {
  OldPart(40, 1);
  pqxx::connection writer(database.options().uri);
  pqxx::work work(writer);
  work.exec(
      "INSERT INTO event (stream_id, sequence, event_id, type, data, occurred_at, appended_at)"
      " VALUES ('late', 1, 'late/1', 't', '', now(), now() - interval '40 days 1 hour')");
  database.Query(
      "INSERT INTO relay_cursor (name, snapshot, position, published) VALUES ('x', pg_current_snapshot(), 0, 0)");
  EXPECT_THROW(Drop(), pqxx::sql_error);  // 55P03: it does not wait long
  work.commit();
  EXPECT_EQ(Drop(), "0");
  EXPECT_EQ(database.Query("SELECT count(*) FROM event WHERE stream_id = 'late'"), "1");
}

TEST_F(PartitionsTest, TheRelaySendsAllAndTheKeeperDropsUnderLoad) {
  OldPart(40, 100);
  OldPart(30, 100);
  Received received;
  Consumer consumer(consumer_options(), Into(received));
  Relay relay(relay_options());
  PartKeeper one(database.options(), absl::Milliseconds(20)), two(database.options(), absl::Milliseconds(20));
  for (std::int64_t i = 0; i < 100; ++i) {
    ASSERT_EQ(AppendTo("live", i * 5 + 1, i * 5 + 5), absl::OkStatus());
    relay.Wake();
  }
  EXPECT_TRUE(Eventually([&] { return !Exists("event_old40") && !Exists("event_old30"); }, absl::Seconds(30)));
  ASSERT_TRUE(Eventually([&] { return received.distinct() == 700; }, absl::Seconds(30))) << received.distinct();
  std::int64_t last = 0;
  for (const Event& event : received.all()) {
    if (event.stream_id == "live") ASSERT_EQ(event.sequence, ++last);
  }
}

// The service's role owns nothing, and can neither shorten the log nor its policy.
TEST_F(PartitionsTest, ARoleWithoutRightsKeepsThePartsAndNoMore) {
  const std::string role = "keeper_" + database.name();
  database.Query("CREATE ROLE " + role + " LOGIN PASSWORD 'secret'");
  database.Query("GRANT EXECUTE ON FUNCTION event_make_parts(), event_drop_parts() TO " + role);
  database.Query("GRANT SELECT ON ALL TABLES IN SCHEMA public TO " + role);
  database.Query("GRANT INSERT ON event TO " + role);
  OldPart(40, 1);
  database.Query(
      "INSERT INTO relay_cursor (name, snapshot, position, published) VALUES ('x', pg_current_snapshot(), 0, 0)");
  ASSERT_EQ(SetLogPolicy(database.options(), {.period = absl::Hours(48), .retention = absl::Hours(48)}),
            absl::OkStatus());
  const auto as = [&](const std::string& sql) {
    return database.Query("SET SESSION AUTHORIZATION " + role + "; " + sql);
  };
  EXPECT_NE(as("SELECT event_make_parts()"), "0");
  EXPECT_EQ(as("SELECT event_drop_parts()"), "1");
  as("INSERT INTO event (stream_id, sequence, event_id, type, data, occurred_at) VALUES ('a', 1, 'a/1', 't', '', "
     "now())");
  for (const char* sql : {"UPDATE event_policy SET retention = '0'", "DELETE FROM event", "DROP TABLE event_default",
                          "DELETE FROM event_part", "ALTER TABLE event DETACH PARTITION event_default",
                          "SELECT event_part_unsent('event')"}) {
    EXPECT_THROW(as(sql), pqxx::sql_error) << sql;
  }
  database.Query("DROP OWNED BY " + role);
  database.Query("DROP ROLE " + role);
}

TEST_F(PartitionsTest, APolicyThatMakesNoSenseIsRefused) {
  EXPECT_EQ(SetLogPolicy(database.options(), {.period = absl::Seconds(1)}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(SetLogPolicy(database.options(), {.period = absl::Hours(2), .retention = absl::Hours(1)}).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace flotilla::events
