#include "fleet/funds.h"

#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "fleet/call_log.h"
#include "grpcpp/grpcpp.h"
#include "testing/eventually.h"

namespace flotilla::fleet {
namespace {

using payment::v1::PaymentService;

constexpr int kTimeoutMs = 2000;
constexpr std::int64_t kPlenty = 1'000'000'000;

bool MayBeAskedAgain(grpc::StatusCode code) {
  return code == grpc::StatusCode::UNAVAILABLE || code == grpc::StatusCode::DEADLINE_EXCEEDED ||
         code == grpc::StatusCode::ABORTED || code == grpc::StatusCode::RESOURCE_EXHAUSTED;
}

void Set(type::v1::Money* money, std::int64_t amount) {
  money->set_currency_code("EUR");
  money->set_minor_units(amount);
}

std::string User(int number) { return absl::StrCat("user-", number); }

}  // namespace

void Funds::Prepare(Stub& payments, int users) {
  for (int i = 0; i < users; ++i) {
    payment::v1::OpenAccountRequest open;
    open.set_user_id(User(i));
    open.set_currency_code("EUR");
    payment::v1::OpenAccountResponse opened;
    payment::v1::DepositRequest deposit;
    deposit.set_user_id(User(i));
    deposit.set_deposit_id("funds-" + User(i));
    Set(deposit.mutable_amount(), kPlenty);
    payment::v1::DepositResponse deposited;
    if (!Call(payments, &Stub::OpenAccount, "", open, &opened).status.ok() ||
        !Call(payments, &Stub::Deposit, "", deposit, &deposited).status.ok()) {
      throw std::runtime_error("cannot fill the wallets");
    }
  }
}

// One order's money. Every call is asked again until it is answered; all attempts are logged.
class Funds::Payment {
 public:
  Payment(Funds& funds, Stub& stub, int number)
      : funds_(funds),
        stub_(stub),
        number_(number),
        order_id_(absl::StrFormat("%08x-0000-7000-8000-%012d", funds.run_, number)),
        user_(User(number % 10 == 0 ? 0 : number % funds.users_)) {}

  // False where it was given up.
  bool Make() {
    const std::int64_t amount = 100 + number_ % 100;
    switch (number_ % 7) {
      case 0:
        return Hold(amount) && Capture(amount / 3);
      case 1:
        return Hold(amount) && Void();
      case 2:
        return Charge(amount) && Refund("r1", amount / 4) && Refund("r2", 0);
      case 3:  // the compensation overtakes the charge, which is refused then
        return Refund("", 0) && Charge(amount);
      case 4:
        return Hold(amount) && Capture(0) && Refund("r1", amount / 2);
      default:
        return Charge(amount);
    }
  }

 private:
  bool Charge(std::int64_t amount) {
    return Ask<payment::v1::ChargeResponse>("charge", "", amount, &Stub::Charge,
                                            Paid<payment::v1::ChargeRequest>(amount),
                                            [&](const auto&) { return amount; });
  }
  bool Hold(std::int64_t amount) {
    return Ask<payment::v1::AuthorizeResponse>("authorize", "", amount, &Stub::Authorize,
                                               Paid<payment::v1::AuthorizeRequest>(amount),
                                               [&](const auto&) { return amount; });
  }
  bool Capture(std::int64_t amount) {
    payment::v1::CaptureRequest request;
    request.set_order_id(order_id_);
    if (amount > 0) Set(request.mutable_amount(), amount);
    return Ask<payment::v1::CaptureResponse>("capture", "", amount, &Stub::Capture, request, kMoved);
  }
  bool Void() {
    payment::v1::VoidRequest request;
    request.set_order_id(order_id_);
    return Ask<payment::v1::VoidResponse>("void", "", 0, &Stub::Void, request, kMoved);
  }
  bool Refund(const std::string& refund_id, std::int64_t amount) {
    payment::v1::RefundRequest request;
    request.set_order_id(order_id_);
    request.set_refund_id(refund_id);
    if (amount > 0) Set(request.mutable_amount(), amount);
    return Ask<payment::v1::RefundResponse>("refund", refund_id, amount, &Stub::Refund, request, kMoved);
  }

  static constexpr auto kMoved = [](const auto& response) { return response.amount().minor_units(); };

  template <class Request>
  Request Paid(std::int64_t amount) const {
    Request request;
    request.set_order_id(order_id_);
    request.set_user_id(user_);
    Set(request.mutable_amount(), amount);
    return request;
  }

  // A refusal is an answer.
  template <class Response, class Method, class Request, class Moved>
  bool Ask(const char* op, const std::string& key, std::int64_t amount, Method method, const Request& request,
           Moved moved) {
    const CallLog::Fields call = {
        {"op", op}, {"order_id", order_id_}, {"user", user_}, {"key", key}, {"amount", absl::StrCat(amount)}};
    const absl::Time end = absl::Now() + absl::Seconds(60);
    for (;;) {
      Calls().Invoked(call);
      Response response;
      const Result result = Call(stub_, method, "", request, &response, kTimeoutMs);
      Calls().Answered(call, result.status,
                       result.status.ok() ? CallLog::Fields{{"moved", absl::StrCat(moved(response))}}
                                          : CallLog::Fields{{"reason", result.reason}});
      if (!MayBeAskedAgain(result.status.error_code())) return true;
      ++funds_.unanswered_;
      if (absl::Now() >= end) return false;
      absl::SleepFor(absl::Milliseconds(20));
    }
  }

  Funds& funds_;
  Stub& stub_;
  const int number_;
  const std::string order_id_, user_;
};

Funds::Funds(std::vector<std::shared_ptr<grpc::Channel>> channels, int threads, int users, int run)
    : channels_(std::move(channels)), threads_count_(threads), users_(users), run_(run) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this, i] { Run(i); });
}

void Funds::Stop() {
  stop_ = true;
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

bool Funds::Progresses(int more) const {
  return Eventually([this, goal = payments() + more] { return payments() >= goal; }, absl::Seconds(60));
}

void Funds::Run(int thread) {
  const auto stub = PaymentService::NewStub(channels_[static_cast<std::size_t>(thread) % channels_.size()]);
  for (int number = thread; !stop_; number += threads_count_) {
    if (Payment(*this, *stub, number).Make()) ++payments_;
  }
}

}  // namespace flotilla::fleet
