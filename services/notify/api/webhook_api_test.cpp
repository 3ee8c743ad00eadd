#include "notify/api/webhook_api.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "notify/store/migrations.h"
#include "postgres/test_database.h"
#include "rpc/test_user.h"

namespace flotilla::notify {
namespace {

using rpc::As;

class WebhookApiTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(postgres::Migrate(database_.options(), Migrations(), absl::Seconds(10)).ok());
    server_.AddInterceptor(std::make_shared<rpc::TestUser>());
    ASSERT_TRUE(server_.Start().ok());
    stub_ = v1::WebhookService::NewStub(
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_.port()), grpc::InsecureChannelCredentials()));
  }
  void TearDown() override { server_.Shutdown(absl::Seconds(5)); }
  grpc::StatusCode Register(const std::string& user, const std::string& url,
                            v1::RegisterEndpointResponse* response = nullptr) {
    v1::RegisterEndpointResponse ignored;
    v1::RegisterEndpointRequest request;
    request.set_url(url);
    request.add_event_types("order.paid");
    return stub_->RegisterEndpoint(As(user).get(), request, response == nullptr ? &ignored : response).error_code();
  }

  postgres::TestDatabase database_;
  StoreCalls stores_{database_.options()};
  rpc::Server server_{{}};
  WebhookApi api_{server_, stores_, false};
  std::unique_ptr<v1::WebhookService::Stub> stub_;
};

TEST_F(WebhookApiTest, EndpointsAreTheirOwnersAlone) {
  v1::RegisterEndpointResponse registered;
  ASSERT_EQ(Register("anna", "https://example.com/hook", &registered), grpc::StatusCode::OK);
  EXPECT_TRUE(registered.secret().starts_with("whsec_"));
  EXPECT_EQ(Register("anna", "https://example.com/hook"), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(Register("bert", "https://example.com/hook"), grpc::StatusCode::OK);
  EXPECT_EQ(Register("", "https://example.com/hook"), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Register("anna", "https://10.0.0.1/hook"), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Register("anna", "http://example.com/hook"), grpc::StatusCode::INVALID_ARGUMENT);

  v1::ListEndpointsResponse list;
  ASSERT_TRUE(stub_->ListEndpoints(As("anna").get(), {}, &list).ok());
  ASSERT_EQ(list.endpoints_size(), 1);
  EXPECT_EQ(list.endpoints(0).endpoint_id(), registered.endpoint().endpoint_id());
  EXPECT_EQ(list.endpoints(0).event_types(0), "order.paid");
  EXPECT_TRUE(list.endpoints(0).enabled());

  v1::DeleteEndpointRequest remove;
  v1::DeleteEndpointResponse removed;
  remove.set_endpoint_id(registered.endpoint().endpoint_id());
  EXPECT_EQ(stub_->DeleteEndpoint(As("bert").get(), remove, &removed).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_TRUE(stub_->DeleteEndpoint(As("anna").get(), remove, &removed).ok());
  v1::EnableEndpointRequest enable;
  v1::EnableEndpointResponse enabled;
  enable.set_endpoint_id("no uuid");
  EXPECT_EQ(stub_->EnableEndpoint(As("anna").get(), enable, &enabled).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  enable.set_endpoint_id(remove.endpoint_id());
  EXPECT_EQ(stub_->EnableEndpoint(As("anna").get(), enable, &enabled).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(WebhookApiTest, ASecretIsRotatedByItsOwner) {
  v1::RegisterEndpointResponse registered;
  ASSERT_EQ(Register("anna", "https://example.com/hook", &registered), grpc::StatusCode::OK);
  v1::RotateSecretRequest rotate;
  v1::RotateSecretResponse rotated;
  rotate.set_endpoint_id(registered.endpoint().endpoint_id());
  EXPECT_EQ(stub_->RotateSecret(As("bert").get(), rotate, &rotated).error_code(), grpc::StatusCode::NOT_FOUND);
  ASSERT_TRUE(stub_->RotateSecret(As("anna").get(), rotate, &rotated).ok());
  EXPECT_TRUE(rotated.secret().starts_with("whsec_"));
  EXPECT_NE(rotated.secret(), registered.secret());
  for (const std::int64_t seconds : {-1, 604'801}) {
    rotate.set_overlap_seconds(seconds);
    EXPECT_EQ(stub_->RotateSecret(As("anna").get(), rotate, &rotated).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
}

TEST_F(WebhookApiTest, TheNumberOfEndpointsIsLimited) {
  for (int i = 0; i < EndpointStore::kMaxEndpoints; ++i) {
    ASSERT_EQ(Register("anna", absl::StrCat("https://example.com/", i)), grpc::StatusCode::OK);
  }
  EXPECT_EQ(Register("anna", "https://example.com/more"), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(WebhookApiTest, WhatIsUnknownIsNotFound) {
  v1::RedeliverDeliveryRequest redeliver;
  v1::RedeliverDeliveryResponse redelivered;
  EXPECT_EQ(stub_->RedeliverDelivery(As("anna").get(), redeliver, &redelivered).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  redeliver.set_delivery_id(7);
  EXPECT_EQ(stub_->RedeliverDelivery(As("anna").get(), redeliver, &redelivered).error_code(),
            grpc::StatusCode::NOT_FOUND);
  v1::ListDeliveriesRequest list;
  v1::ListDeliveriesResponse listed;
  list.set_endpoint_id("00000000-0000-4000-8000-000000000001");
  EXPECT_TRUE(stub_->ListDeliveries(As("anna").get(), list, &listed).ok());
  EXPECT_EQ(listed.deliveries_size(), 0);
  list.set_page_token("n7");
  EXPECT_EQ(stub_->ListDeliveries(As("anna").get(), list, &listed).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace flotilla::notify
