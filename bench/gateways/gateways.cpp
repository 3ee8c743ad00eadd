#include "gateways/gateways.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "errors/errors.h"
#include "fleet/calls.h"
#include "flotilla/order/v1/order_service.grpc.pb.h"
#include "grpcpp/grpcpp.h"

namespace flotilla::bench {
namespace {

using order::v1::OrderService;

order::v1::BatchCreateOrdersRequest MakeBatch(const BatchOptions& options, std::int64_t first) {
  order::v1::BatchCreateOrdersRequest request;
  for (std::int64_t n = first; n < first + options.batch; ++n) {
    auto& item = *request.add_requests();
    item.set_user_id(absl::StrCat("user-", n % options.users));
    *item.mutable_order() =
        fleet::MakeOrder(absl::StrCat(options.run, "-", n), {{absl::StrCat(options.sku_prefix, n % options.skus), 1}});
  }
  return request;
}

std::string Name(const order::v1::BatchCreateOrdersResponse::Result& result) {
  if (!result.has_error()) return order::v1::OrderState_Name(result.order().state());
  return errors::Reason(errors::FromProto(result.error()));
}

void RunGateway(const BatchOptions& options, absl::Time start, absl::Time end, std::atomic<std::int64_t>& number,
                BatchAnswers& answers) {
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto stub =
      OrderService::NewStub(grpc::CreateCustomChannel(options.address, grpc::InsecureChannelCredentials(), args));
  for (;;) {
    const std::int64_t first = number.fetch_add(options.batch);
    const absl::Time due =
        options.rate > 0 ? start + absl::Seconds(static_cast<double>(first) / options.rate) : absl::Now();
    if (due >= end) return;
    absl::SleepFor(due - absl::Now());
    const auto request = MakeBatch(options, first);
    order::v1::BatchCreateOrdersResponse response;
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(5)));
    const grpc::Status status = stub->BatchCreateOrders(&context, request, &response);
    answers.latencies.push_back(absl::Now() - due);
    if (!status.ok()) {
      answers.by_outcome[absl::StatusCodeToString(static_cast<absl::StatusCode>(status.error_code()))] += options.batch;
    }
    for (const auto& result : response.results()) ++answers.by_outcome[Name(result)];
  }
}

}  // namespace

BatchAnswers SendBatches(const BatchOptions& options, absl::Duration duration) {
  const absl::Time start = absl::Now();
  std::atomic<std::int64_t> number = 0;
  std::vector<BatchAnswers> answers(static_cast<std::size_t>(options.gateways));
  std::vector<std::thread> gateways;
  for (BatchAnswers& own : answers) {
    gateways.emplace_back([&] { RunGateway(options, start, start + duration, number, own); });
  }
  for (std::thread& gateway : gateways) gateway.join();
  BatchAnswers all;
  for (const BatchAnswers& own : answers) {
    for (const auto& [outcome, count] : own.by_outcome) all.by_outcome[outcome] += count;
    all.latencies.insert(all.latencies.end(), own.latencies.begin(), own.latencies.end());
  }
  std::ranges::sort(all.latencies);
  return all;
}

}  // namespace flotilla::bench
