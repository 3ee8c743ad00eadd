#include "notify/api/notify_admin_api.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "notify/store/migrations.h"
#include "notify/store/notification_store.h"
#include "postgres/test_database.h"

namespace flotilla::notify {
namespace {

TEST(NotifyAdminApi, DeadLettersAreListedInPagesAndRedeliveredOrDiscardedByName) {
  const postgres::TestDatabase database;
  ASSERT_TRUE(postgres::Migrate(database.options(), Migrations(), absl::Seconds(10)).ok());
  Batch batch;
  for (int i = 1; i <= 3; ++i) {
    batch.dead_letters.push_back({.event_id = absl::StrCat("payment:x/", i),
                                  .source = "payment",
                                  .stream_id = "x",
                                  .sequence = i,
                                  .type = "t",
                                  .data = std::string("\0\xff", 2),
                                  .reason = "why"});
  }
  ASSERT_TRUE(NotificationStore(database.options()).Apply(batch).ok());
  StoreCalls stores(database.options());
  rpc::Server server{{}};
  const NotifyAdminApi api(server, stores);
  ASSERT_TRUE(server.Start().ok());
  const auto stub = v1::NotifyAdminService::NewStub(
      grpc::CreateChannel(absl::StrCat("127.0.0.1:", server.port()), grpc::InsecureChannelCredentials()));

  v1::ListDeadLettersRequest list;
  list.set_page_size(2);
  const auto ids = [&] {
    std::vector<std::string> listed;
    do {
      v1::ListDeadLettersResponse page;
      grpc::ClientContext context;
      const auto status = stub->ListDeadLetters(&context, list, &page);
      EXPECT_TRUE(status.ok()) << status.error_message();
      for (const auto& letter : page.dead_letters()) {
        listed.push_back(letter.event_id());
        EXPECT_EQ(letter.data(), std::string("\0\xff", 2));
        EXPECT_EQ(letter.reason(), "why");
      }
      list.set_page_token(page.next_page_token());
    } while (!list.page_token().empty());
    return listed;
  };
  EXPECT_EQ(ids(), (std::vector<std::string>{"payment:x/1", "payment:x/2", "payment:x/3"}));

  const auto redeliver = [&](const std::string& id) {
    v1::RedeliverDeadLetterRequest request;
    request.set_event_id(id);
    v1::RedeliverDeadLetterResponse response;
    grpc::ClientContext context;
    return stub->RedeliverDeadLetter(&context, request, &response).error_code();
  };
  EXPECT_EQ(redeliver("payment:x/1"), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(redeliver("payment:x/9"), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(redeliver(""), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(redeliver("a\nb"), grpc::StatusCode::INVALID_ARGUMENT);

  const auto discard = [&](const std::string& id) {
    v1::DiscardDeadLetterRequest request;
    request.set_event_id(id);
    v1::DiscardDeadLetterResponse response;
    grpc::ClientContext context;
    return stub->DiscardDeadLetter(&context, request, &response).error_code();
  };
  EXPECT_EQ(discard("payment:x/2"), grpc::StatusCode::OK);
  EXPECT_EQ(discard("payment:x/2"), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(discard(""), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(redeliver("payment:x/2"), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ids(), (std::vector<std::string>{"payment:x/1", "payment:x/3"}));
  // Its event has been handled: should it come again, it has no effect.
  Batch again;
  again.dead_letters.push_back(batch.dead_letters[1]);
  const auto applied = NotificationStore(database.options()).Apply(again);
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_EQ(applied->dead_letters, 0);
  EXPECT_EQ(ids(), (std::vector<std::string>{"payment:x/1", "payment:x/3"}));
  server.Shutdown(absl::Seconds(5));
}

}  // namespace
}  // namespace flotilla::notify
