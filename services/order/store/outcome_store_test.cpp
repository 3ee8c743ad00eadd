#include "order/store/outcome_store.h"

#include "absl/strings/str_cat.h"
#include "events/log.h"
#include "gmock/gmock.h"
#include "order/domain/order.h"
#include "order/store/schema.h"
#include "postgres/test_database.h"

namespace flotilla::order {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class OutcomeStoreTest : public testing::Test {
 protected:
  OutcomeStoreTest() {
    EXPECT_EQ(postgres::Migrate(database_.options(), Schema(), absl::Seconds(10)), absl::OkStatus());
  }
  void Append(const std::string& stream, std::int64_t sequence, State state) {
    const std::vector<events::Event> events = {{.stream_id = stream,
                                                .sequence = sequence,
                                                .type = std::string(EventType(state)),
                                                .data = absl::StrCat(stream, "/", sequence),
                                                .occurred_at = absl::FromUnixSeconds(1)}};
    EXPECT_EQ(writer_.Transact([&](postgres::Transaction& transaction) {
      events::Append(transaction, events);
      return absl::OkStatus();
    }),
              absl::OkStatus());
  }
  OutcomePage List(const LogPlace& after, int limit = 100, absl::Duration min_age = absl::ZeroDuration()) {
    const auto page = store_.List({after, min_age, limit});
    EXPECT_TRUE(page.ok()) << page.status();
    return *page;
  }
  // A transaction elsewhere on the server may hold the end back for a moment.
  OutcomePage Await(const LogPlace& after, std::size_t events) {
    OutcomePage page;
    while (page.events.size() < events) page = List(after);
    return page;
  }
  postgres::TestDatabase database_;
  postgres::Session writer_{database_.options()};
  OutcomeStore store_{database_.options()};
};

TEST_F(OutcomeStoreTest, ListsEachEndOnceInTheOrderOfCommits) {
  Append("a", 1, State::kReserved);
  Append("b", 1, State::kReserved);
  Append("b", 2, State::kPaid);
  Append("a", 2, State::kCancelled);
  Append("b", 3, State::kRefunding);
  Append("b", 4, State::kPartiallyRefunded);
  Append("b", 5, State::kRefunding);
  Append("b", 6, State::kRefunded);
  const OutcomePage all = Await({}, 4);
  EXPECT_THAT(all.events, ElementsAre("b/2", "a/2", "b/4", "b/6"));
  EXPECT_THAT(List(all.next).events, IsEmpty());
  EXPECT_EQ(List(all.next).next.xid, all.next.xid);

  const OutcomePage first = List({}, 2);
  EXPECT_THAT(first.events, IsEmpty()) << "reserved only, but the place moves on";
  const OutcomePage second = List(first.next, 2);
  EXPECT_THAT(second.events, ElementsAre("b/2", "a/2"));
  EXPECT_THAT(List(second.next).events, ElementsAre("b/4", "b/6"));
}

TEST_F(OutcomeStoreTest, StopsBeforeWhatIsTooYoung) {
  Append("a", 1, State::kPaid);
  Await({}, 1);
  const OutcomePage page = List({}, 100, absl::Hours(1));
  EXPECT_THAT(page.events, IsEmpty());
  EXPECT_EQ(page.next.xid, 0u);
}

}  // namespace
}  // namespace flotilla::order
