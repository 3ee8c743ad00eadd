#include "order/api/saga_admin_parse.h"

#include "gtest/gtest.h"
#include "testing/status.h"

namespace flotilla::order {
namespace {

TEST(SagaAdminParse, NamesTheWrongFieldOfAList) {
  v1::ListSagasRequest request;
  EXPECT_EQ(Parse(request)->limit, 50);
  const auto refused = [&](const char* field) {
    EXPECT_EQ(Field(Parse(request).status()), field);
    request.Clear();
  };
  request.set_state(v1::SAGA_STATE_ENDED);
  refused("state");
  request.set_state(static_cast<v1::SagaState>(99));
  refused("state");
  request.set_type("a b");
  refused("type");
  request.mutable_min_age()->set_seconds(-1);
  refused("min_age");
  request.mutable_min_age()->set_seconds(INT64_MAX);
  refused("min_age");
  request.set_page_size(1001);
  refused("page_size");
  for (const char* token : {"x", "/", "create/", "cre ate/1"}) {
    request.set_page_token(token);
    refused("page_token");
  }
}

TEST(SagaAdminParse, APageTokenLeadsToTheNextPage) {
  saga::SagaView last;
  last.key = {"create", "a/b"};
  v1::ListSagasRequest request;
  request.set_state(v1::SAGA_STATE_PARKED);
  request.set_page_token(PageToken(last));
  const auto query = Parse(request);
  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_EQ(query->after.type, "create");
  EXPECT_EQ(query->after.id, "a/b");
  EXPECT_EQ(query->state, saga::State::kParked);
  v1::ListOperatorActsRequest acts;
  saga::OperatorAct act;
  act.sequence = 7;
  acts.set_page_token(PageToken(act));
  EXPECT_EQ(Parse(acts)->before, 7);
}

TEST(SagaAdminParse, NamesTheWrongFieldOfARetryOfMany) {
  v1::RetrySagasRequest request;
  EXPECT_EQ(Parse(request)->limit, 50);
  const auto refused = [&](const char* field) {
    EXPECT_EQ(Field(Parse(request).status()), field);
    request.Clear();
  };
  request.set_type("a b");
  refused("type");
  request.set_parked_step(std::string(65, 'x'));
  refused("parked_step");
  request.mutable_min_age()->set_nanos(-1);
  refused("min_age");
  for (const int max : {-1, 1001}) {
    request.set_max_sagas(max);
    refused("max_sagas");
  }
  request.set_parked_step("undo charge");
  request.mutable_min_age()->set_seconds(60);
  request.set_max_sagas(1000);
  const auto query = Parse(request);
  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_EQ(query->parked_step, "undo charge");
  EXPECT_EQ(query->min_age, absl::Minutes(1));
  EXPECT_EQ(query->limit, 1000);
}

TEST(SagaAdminParse, NamesTheWrongFieldOfAnAct) {
  EXPECT_EQ(Field(ParseSagaKey("", "1").status()), "type");
  EXPECT_EQ(Field(ParseSagaKey("create", "").status()), "id");
  EXPECT_EQ(Field(ParseSagaKey("create", std::string(65, 'x')).status()), "id");
  EXPECT_TRUE(CheckEnd(v1::ORDER_STATE_CANCELLED).ok());
  for (const auto state : {v1::ORDER_STATE_UNSPECIFIED, v1::ORDER_STATE_RESERVED, v1::ORDER_STATE_AWAITING_PAYMENT,
                           static_cast<v1::OrderState>(99)}) {
    EXPECT_EQ(Field(CheckEnd(state)), "order_state") << state;
  }
  v1::ListOperatorActsRequest request;
  request.set_saga_id("1");
  EXPECT_EQ(Field(Parse(request).status()), "saga_type");
  request.Clear();
  for (const char* token : {"x", "-1", "0"}) {
    request.set_page_token(token);
    EXPECT_EQ(Field(Parse(request).status()), "page_token");
  }
}

}  // namespace
}  // namespace flotilla::order
