#include "fleet/flood.h"

#include <algorithm>
#include <cmath>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "fleet/call_log.h"
#include "fleet/calls.h"
#include "flotilla/order/v1/order_service.pb.h"

namespace flotilla::fleet {
namespace {

constexpr int kSentATurn = 64;
constexpr int kWaiting = 10'000;

constexpr char kMethod[] = "/flotilla.order.v1.OrderService/CreateOrder";

std::string Name(grpc::StatusCode code) { return absl::StatusCodeToString(static_cast<absl::StatusCode>(code)); }

grpc::ByteBuffer Serialize(const order::v1::CreateOrderRequest& request) {
  const grpc::Slice slice(request.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

order::v1::Order Parse(const grpc::ByteBuffer& bytes) {
  grpc::ByteBuffer copy(bytes);
  order::v1::CreateOrderResponse response;
  grpc::SerializationTraits<order::v1::CreateOrderResponse>::Deserialize(&copy, &response).ok();
  return response.order();
}

}  // namespace

float Second::Percentile(double share) const {
  if (milliseconds.empty()) return 0;
  return milliseconds[std::min(milliseconds.size() - 1, static_cast<std::size_t>(share * milliseconds.size()))];
}

double Answers::Rate() const {
  std::int64_t ok = 0;
  for (const Second& each : seconds) ok += each.ok;
  return seconds.empty() ? 0 : static_cast<double>(ok) / static_cast<double>(seconds.size());
}

struct Flood::Call {
  grpc::ClientContext context;
  grpc::ByteBuffer response;
  grpc::Status status;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
  absl::Time sent;
  CallLog::Fields logged;
};

Flood::Flood(FloodOptions options) : options_(std::move(options)) {
  for (int i = 0; i < options_.connections; ++i) {
    grpc::ChannelArguments args;
    args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stubs_.push_back(std::make_unique<grpc::GenericStub>(
        grpc::CreateCustomChannel(options_.address, grpc::InsecureChannelCredentials(), args)));
  }
}

Flood::~Flood() {
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
  }
}

Answers Flood::Open(double rate, absl::Duration time) {
  double sent = 0;
  return Run(time, [rate, &sent](absl::Duration since_start, int waiting) {
    // A thread that only sends would find the answers when they are old; what it cannot offer is not offered.
    const int due = static_cast<int>(absl::ToDoubleSeconds(since_start) * rate - sent);
    const int now = std::min({due, kSentATurn, std::max(0, kWaiting - waiting)});
    sent += due - now > kSentATurn ? due : now;
    return now;
  });
}

Answers Flood::Closed(int at_once, absl::Duration time) {
  return Run(time, [at_once](absl::Duration, int waiting) { return at_once - waiting; });
}

Answers Flood::Run(absl::Duration time, const std::function<int(absl::Duration, int)>& due) {
  Answers answers;
  answers.seconds.resize(static_cast<std::size_t>(std::ceil(absl::ToDoubleSeconds(time))));
  const absl::Time start = absl::Now(), end = start + time;
  for (absl::Time now = start; now < end || answers.answered < answers.sent; now = absl::Now()) {
    if (now < end) {
      const int more = due(now - start, static_cast<int>(answers.sent - answers.answered));
      for (int i = 0; i < more; ++i) Send(answers);
    }
    // All that has come; then until the next millisecond.
    void* tag = nullptr;
    bool ok = false;
    for (auto until = absl::ToChronoTime(absl::Now() + absl::Milliseconds(1));
         queue_.AsyncNext(&tag, &ok, until) == grpc::CompletionQueue::GOT_EVENT;
         until = std::chrono::system_clock::time_point()) {  // the past
      Take(static_cast<Call*>(tag), start, answers);
    }
  }
  for (Second& each : answers.seconds) std::sort(each.milliseconds.begin(), each.milliseconds.end());
  return answers;
}

void Flood::Send(Answers& answers) {
  const std::int64_t n = number_++;
  const std::string user = absl::StrCat("user-", n % options_.users);
  order::v1::CreateOrderRequest request = MakeOrder("", {{absl::StrCat(options_.sku_prefix, n % options_.skus), 1}});
  auto call = std::make_unique<Call>();
  const std::string key = absl::StrCat(options_.run, "-", n);
  if (options_.log) {
    call->logged = {{"op", "create_order"}, {"user", user}, {"key", key}, {"body", request.ShortDebugString()}};
    Calls().Invoked(call->logged);
  }
  request.set_idempotency_key(key);
  call->sent = absl::Now();
  SetCall(call->context, user, static_cast<int>(absl::ToInt64Milliseconds(options_.timeout)));
  auto& stub = *stubs_[static_cast<std::size_t>(n) % stubs_.size()];
  call->reader = stub.PrepareUnaryCall(&call->context, kMethod, Serialize(request), &queue_);
  call->reader->StartCall();
  Call* raw = call.release();  // Take's
  raw->reader->Finish(&raw->response, &raw->status, raw);
  ++answers.sent;
}

void Flood::Take(Call* raw, absl::Time start, Answers& answers) {
  const std::unique_ptr<Call> call(raw);
  const absl::Time now = absl::Now();
  ++answers.answered;
  answers.slowest = std::max(answers.slowest, now - call->sent);
  std::string outcome = Name(call->status.error_code());
  Result result{.status = call->status};
  if (!call->status.ok()) {
    result = Explain(call->status);
    // gRPC's own errors have no reason.
    absl::StrAppend(&outcome, " ", result.reason.empty() ? call->status.error_message() : result.reason);
  }
  ++answers.by_outcome[outcome];
  if (call->status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) {
    ++answers.shed;
    if (call->status.error_details().find("google.rpc.RetryInfo") == std::string::npos) ++answers.shed_without_delay;
  }
  if (options_.log) {
    const order::v1::Order order = call->status.ok() ? Parse(call->response) : order::v1::Order();
    Calls().Answered(call->logged, call->status,
                     call->status.ok() ? CallLog::Fields{{"order_id", order.order_id()},
                                                         {"state", order::v1::OrderState_Name(order.state())}}
                                       : CallLog::Fields{{"reason", result.reason}});
  }
  const auto second = static_cast<std::size_t>(absl::ToInt64Seconds(now - start));
  if (second >= answers.seconds.size()) return;
  Second& at = answers.seconds[second];
  ++(call->status.ok() ? at.ok : at.others);
  if (call->status.ok()) at.milliseconds.push_back(static_cast<float>(absl::ToDoubleMilliseconds(now - call->sent)));
}

}  // namespace flotilla::fleet
