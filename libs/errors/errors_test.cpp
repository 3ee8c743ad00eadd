#include "errors/errors.h"

#include "google/rpc/error_details.pb.h"
#include "gtest/gtest.h"

namespace flotilla::errors {
namespace {

TEST(Errors, ReasonSurvivesTheWayOverGrpc) {
  const absl::Status sent =
      Make(absl::StatusCode::kFailedPrecondition, "OUT_OF_STOCK", "none left", {{"sku", "apple"}});
  const absl::Status got = FromGrpc(ToGrpc(sent));
  EXPECT_EQ(got.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(got.message(), "none left");
  EXPECT_EQ(Reason(got), "OUT_OF_STOCK");
  EXPECT_EQ(FromProto(ToProto(sent)), sent);
}

TEST(Errors, InvalidFieldNamesTheField) {
  const absl::Status status = InvalidField("items[2].quantity", "must be positive");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Reason(status), "INVALID_FIELD");
  google::rpc::BadRequest bad;
  ASSERT_TRUE(ToProto(status).details(1).UnpackTo(&bad));
  EXPECT_EQ(bad.field_violations(0).field(), "items[2].quantity");
}

TEST(Errors, RetryDelayIsAddedToTheDetails) {
  const absl::Status status =
      WithRetryDelay(Make(absl::StatusCode::kUnavailable, "BUSY", "later"), absl::Milliseconds(1500));
  google::rpc::RetryInfo info;
  ASSERT_TRUE(ToProto(status).details(1).UnpackTo(&info));
  EXPECT_EQ(info.retry_delay().seconds(), 1);
  EXPECT_EQ(info.retry_delay().nanos(), 500000000);
  EXPECT_EQ(Reason(status), "BUSY");
}

TEST(Errors, PlainStatusesKeepCodeAndMessage) {
  EXPECT_TRUE(FromGrpc(ToGrpc(absl::OkStatus())).ok());
  EXPECT_EQ(FromGrpc(ToGrpc(absl::NotFoundError("x"))), absl::NotFoundError("x"));
  EXPECT_EQ(Reason(absl::NotFoundError("x")), "");
}

}  // namespace
}  // namespace flotilla::errors
