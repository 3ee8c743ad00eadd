#include "identity/audit.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "errors/errors.h"
#include "flotilla/payment/v1/payment_service.grpc.pb.h"
#include "gmock/gmock.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace flotilla::identity {
namespace {

using payment::v1::DepositRequest;
using payment::v1::DepositResponse;
using payment::v1::GetAccountRequest;
using payment::v1::GetAccountResponse;
using payment::v1::PaymentService;
using testing::HasSubstr;
using testing::Not;

// Olga, an operator or not.
class Caller final : public rpc::Interceptor {
 public:
  Caller(bool is_operator, absl::Status answer) : is_operator_(is_operator), answer_(std::move(answer)) {}
  absl::Status OnStart(rpc::Call& call) override {
    call.user_id = "olga";
    call.for_any_user = is_operator_;
    return answer_;
  }
  void OnEnd(const rpc::Call&, const absl::Status&) override {}

 private:
  const bool is_operator_;
  const absl::Status answer_;
};

class AuditTest : public testing::Test {
 protected:
  AuditTest() { telemetry::InitLog("test", telemetry::Level::kInfo); }
  static absl::Status Denied() {
    return errors::Make(absl::StatusCode::kPermissionDenied, "NOT_AN_OPERATOR", "only operators may do this");
  }
  // What is logged of calls that end so; Deposit is for operators, GetAccount for everyone.
  static std::string Logged(const absl::Status& answer, bool is_operator, bool deposit = true, int times = 1) {
    testing::internal::CaptureStderr();
    {
      rpc::Server server({});
      auto service = std::make_shared<PaymentService::AsyncService>();
      server.AddService(service);
      server.AddInterceptor(std::make_shared<Caller>(is_operator, answer));
      server.AddInterceptor(std::make_shared<Audit>());
      server.Unary(service.get(), &PaymentService::AsyncService::RequestDeposit,
                   "flotilla.payment.v1.PaymentService/Deposit", Answer<DepositRequest, DepositResponse>);
      server.Unary(service.get(), &PaymentService::AsyncService::RequestGetAccount,
                   "flotilla.payment.v1.PaymentService/GetAccount", Answer<GetAccountRequest, GetAccountResponse>);
      EXPECT_TRUE(server.Start().ok());
      const auto stub = PaymentService::NewStub(
          grpc::CreateChannel(absl::StrCat("127.0.0.1:", server.port()), grpc::InsecureChannelCredentials()));
      for (int i = 0; i < times; ++i) {
        grpc::ClientContext context;
        DepositResponse deposited;
        GetAccountResponse account;
        const grpc::Status status =
            deposit ? stub->Deposit(&context, {}, &deposited) : stub->GetAccount(&context, {}, &account);
        EXPECT_EQ(static_cast<int>(status.error_code()), static_cast<int>(answer.code()));
      }
    }  // the lines are written once the server has ended
    return testing::internal::GetCapturedStderr();
  }

 private:
  template <class Request, class Response>
  static async::Task<absl::StatusOr<Response>> Answer(rpc::Call&, const Request&) {
    co_return Response();
  }
};

TEST_F(AuditTest, AnOperatorsActNamesTheOperatorAndTheResult) {
  const std::string done = Logged(absl::OkStatus(), true);
  EXPECT_THAT(done, HasSubstr("audit: operator's act"));
  EXPECT_THAT(done, HasSubstr(R"("method":"flotilla.payment.v1.PaymentService/Deposit")"));
  EXPECT_THAT(done, HasSubstr(R"("operator":"olga")"));
  EXPECT_THAT(Logged(absl::NotFoundError("no wallet"), true), HasSubstr(R"("result":"NOT_FOUND")"));
}

TEST_F(AuditTest, WhatEveryUserMayDoIsNoAct) {
  EXPECT_EQ(Logged(absl::OkStatus(), true, false), "");
  EXPECT_EQ(Logged(absl::OkStatus(), false), "");
}

TEST_F(AuditTest, ARefusalHasItsReasonButNoName) {
  const std::string refused = Logged(Denied(), false);
  EXPECT_THAT(refused, HasSubstr("audit: refused"));
  EXPECT_THAT(refused, HasSubstr(R"("reason":"NOT_AN_OPERATOR")"));
  EXPECT_THAT(refused, HasSubstr(R"("caller":"a user")"));
  EXPECT_THAT(refused, Not(HasSubstr("olga")));
  EXPECT_THAT(Logged(errors::Make(absl::StatusCode::kUnauthenticated, "INVALID_TOKEN", "wrong"), false),
              HasSubstr("INVALID_TOKEN"));
}

TEST_F(AuditTest, AFloodOfRefusalsIsCountedRatherThanWritten) {
  auto& counter = telemetry::Counter("flotilla_calls_refused_total", "", {{"reason", "NOT_AN_OPERATOR"}});
  const double before = counter.Value();
  const std::string lines = Logged(Denied(), false, true, 2000);
  const auto count = std::count(lines.begin(), lines.end(), '\n');
  EXPECT_GE(count, 50);
  EXPECT_LT(count, 1000);
  EXPECT_EQ(counter.Value(), before + 2000);
}

}  // namespace
}  // namespace flotilla::identity
