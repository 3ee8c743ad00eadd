#include "events/log_reader.h"

#include <optional>

#include "events/events_fixture.h"
#include "postgres/connection.h"

namespace flotilla::events {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class LogReaderTest : public EventsTest {
 protected:
  LogReaderTest() : connection_(postgres::Connect(database.options())), reader_(*connection_) {}

  static std::vector<std::string> Ids(const std::vector<Row>& rows) {
    std::vector<std::string> ids;
    for (const Row& row : rows) ids.push_back(row.event.id());
    return ids;
  }
  // What PostgreSQL did for a statement of the reader's.
  std::string Explain(const std::string& execute) {
    std::string plan;
    for (const auto& row :
         pqxx::nontransaction(*connection_).exec("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) " + execute)) {
      plan += std::string(row[0].c_str()) + "\n";
    }
    return plan;
  }

  std::unique_ptr<pqxx::connection> connection_;
  LogReader reader_;
};

TEST_F(LogReaderTest, NewIsWhatTheSnapshotDidNotSee) {
  ASSERT_EQ(AppendTo("a", 1, 2), absl::OkStatus());
  const Snapshot seen(reader_.Now());
  EXPECT_TRUE(reader_.ReadNew(seen, 100).rows.empty());
  ASSERT_EQ(AppendTo("a", 3, 4), absl::OkStatus());
  const LogReader::News news = reader_.ReadNew(seen, 100);
  EXPECT_THAT(Ids(news.rows), ElementsAre("a/3", "a/4"));
  EXPECT_TRUE(news.complete);
  EXPECT_TRUE(reader_.ReadNew(Snapshot(news.snapshot), 100).rows.empty());
  EXPECT_FALSE(reader_.ReadNew(Snapshot(), 3).complete);
}

// Of thousands of rows in several parts the relay's statement touches the new ones only.
TEST_F(LogReaderTest, ReadingWhatIsNewTouchesNothingElse) {
  ASSERT_EQ(AppendTo("old", 1, 3000), absl::OkStatus());
  database.Query("UPDATE event SET appended_at = now() + interval '30 hours' WHERE sequence % 3 = 0");
  database.Query("UPDATE event SET appended_at = now() + interval '300 hours' WHERE sequence % 3 = 1");
  database.Query("VACUUM ANALYZE event");
  const Snapshot seen(reader_.Now());
  ASSERT_EQ(AppendTo("new", 1, 7), absl::OkStatus());
  ASSERT_EQ(reader_.ReadNew(seen, 4096).rows.size(), 7u);  // which also prepares the statement
  const std::string plan = Explain("EXECUTE read_new('" + seen.xmax + "', '" + seen.in_progress + "', 4096)");
  EXPECT_THAT(plan, HasSubstr("Append (actual rows=7 loops=1)"));
  EXPECT_THAT(plan, Not(HasSubstr("Seq Scan"))) << plan;
  EXPECT_THAT(plan, Not(HasSubstr("Rows Removed"))) << plan;
  RecordProperty("plan", plan);
}

TEST_F(LogReaderTest, ABacklogGoesOnByTheIndexWhateverCameBefore) {
  for (int i = 0; i < 30; ++i) ASSERT_EQ(AppendTo("a", i * 100 + 1, i * 100 + 100), absl::OkStatus());
  database.Query("VACUUM ANALYZE event");
  LogReader::Progress progress;
  std::size_t total = 0;
  const std::string upto = reader_.Now();
  for (int part = 0; part < 29; ++part) {
    LogReader::Backlog backlog = reader_.ReadBacklog(Snapshot(), upto, progress, 100);
    total += backlog.rows.size();
    progress = backlog.next;
  }
  EXPECT_EQ(total, 2900u);
  const std::string plan = Explain("EXECUTE read_backlog('" + std::to_string(progress.after.xid) + "', " +
                                   std::to_string(progress.after.position) + ", '1:1:', '" + upto + "', 100)");
  EXPECT_THAT(plan, Not(HasSubstr("Rows Removed"))) << plan;
  EXPECT_THAT(plan, Not(HasSubstr("Seq Scan"))) << plan;
}

// One transaction has more rows than a part; the next part goes on within it.
TEST_F(LogReaderTest, ABigTransactionIsReadInParts) {
  ASSERT_EQ(AppendTo("a", 1, 250), absl::OkStatus());
  LogReader::Progress progress;
  std::int64_t last = 0;
  for (bool end = false; !end;) {
    LogReader::Backlog backlog = reader_.ReadBacklog(Snapshot(), reader_.Now(), progress, 100);
    for (const Row& row : backlog.rows) ASSERT_EQ(row.event.sequence, ++last);
    progress = std::move(backlog.next);
    end = backlog.end;
  }
  EXPECT_EQ(last, 250);
}

// A transaction with a low number waited for others and wrote after them: what it follows comes with it, and once.
TEST_F(LogReaderTest, AStreamsOrderHoldsAcrossTheParts) {
  postgres::Session early(database.options());
  ASSERT_EQ(early.Transact([&](postgres::Transaction& transaction) {
    Append(transaction, std::vector<Event>{MakeEvent("own", 1)});
    constexpr postgres::Statement kNumber{"number", "SELECT pg_current_xact_id()"};
    transaction.Run(kNumber);  // sends the append
    EXPECT_EQ(AppendTo("s", 1, 1), absl::OkStatus());
    EXPECT_EQ(AppendTo("filler", 1, 50), absl::OkStatus());
    EXPECT_EQ(AppendTo("s", 2, 3), absl::OkStatus());
    Append(transaction, std::vector<Event>{MakeEvent("s", 4)});
    return absl::OkStatus();
  }),
            absl::OkStatus());
  const std::string upto = reader_.Now();
  const LogReader::Backlog first = reader_.ReadBacklog(Snapshot(), upto, {}, 2);
  EXPECT_THAT(Ids(first.rows), ElementsAre("own/1", "s/1", "s/2", "s/3", "s/4"));
  LogReader::Progress progress = first.next;
  std::vector<std::string> rest;
  for (bool end = false; !end;) {
    LogReader::Backlog backlog = reader_.ReadBacklog(Snapshot(), upto, progress, 2);
    for (const std::string& id : Ids(backlog.rows)) rest.push_back(id);
    progress = std::move(backlog.next);
    end = backlog.end;
  }
  EXPECT_EQ(rest.size(), 50u);
  EXPECT_THAT(rest, testing::Each(testing::StartsWith("filler/")));
}

}  // namespace
}  // namespace flotilla::events
