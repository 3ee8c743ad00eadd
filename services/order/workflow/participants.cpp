#include "order/workflow/participants.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "errors/errors.h"

namespace flotilla::order {
namespace {

using inventory::v1::InventoryService;
using payment::v1::PaymentService;

constexpr absl::Duration kCallTimeout = absl::Seconds(2);

// A batch waits for its most patient member.
template <class Items>
rpc::CallOptions OptionsFor(const Items& items) {
  absl::Time deadline = absl::InfinitePast();
  for (const auto& item : items) deadline = std::max(deadline, item.deadline);
  return {.timeout = kCallTimeout, .deadline = deadline};
}

Reservation FromProto(const inventory::v1::ReserveResponse& response) {
  Reservation reservation;
  reservation.lines.reserve(static_cast<std::size_t>(response.lines_size()));
  for (const auto& line : response.lines()) {
    reservation.lines.push_back({line.sku(), line.quantity(), line.unit_price().minor_units()});
    reservation.currency = line.unit_price().currency_code();
  }
  return reservation;
}

// One batch RPC for many orders: `add` puts an item into the request, `take` makes an item's answer of its result. A
// response of another length is a list of that length, which the batcher refuses.
template <class Answer, class Prepare, class Request, class Items, class Add, class Take>
async::Task<std::vector<absl::StatusOr<Answer>>> Flush(auto& client, Prepare prepare, Request request, Items items,
                                                       Add add, Take take, bool wait_for_ready = true) {
  using Answers = std::vector<absl::StatusOr<Answer>>;
  rpc::CallOptions options = OptionsFor(items);
  options.wait_for_ready = wait_for_ready;
  const std::size_t count = items.size();
  for (auto& item : items) add(request, item.request);
  const auto response = co_await client.Call(prepare, std::move(request), options);
  if (!response.ok()) co_return Answers(count, response.status());
  Answers answers;
  answers.reserve(count);
  for (const auto& result : response->results()) answers.push_back(take(result));
  co_return answers;
}

constexpr auto kAddRequest = [](auto& batch, auto& request) { batch.add_requests()->Swap(&request); };

// Of an answer that says no more than whether it was done.
constexpr auto kTakeError = [](const auto& result) -> absl::StatusOr<Done> {
  const google::rpc::Status* error = nullptr;
  if constexpr (std::is_same_v<decltype(result), const google::rpc::Status&>) {
    error = &result;
  } else {
    error = &result.error();
  }
  if (error->code() != 0) return errors::FromProto(*error);
  return Done{};
};

async::Task<absl::Status> StatusOf(auto task) {
  auto result = co_await std::move(task);
  co_return result.status();
}

}  // namespace

Participants::Participants(std::shared_ptr<rpc::ChannelPool> inventory, std::shared_ptr<rpc::ChannelPool> payment,
                           absl::Duration hold)
    : inventory_(std::move(inventory)),
      payment_(std::move(payment)),
      hold_(hold),
      reserve_({.name = "reserve"},
               [this](auto items) {
                 // Nothing is promised to these orders yet, so without an instance they are refused at once.
                 return Flush<Reservation>(
                     inventory_, &InventoryService::Stub::PrepareAsyncBatchReserve,
                     inventory::v1::BatchReserveRequest(), std::move(items), kAddRequest,
                     [](const auto& result) -> absl::StatusOr<Reservation> {
                       if (result.has_error()) return errors::FromProto(result.error());
                       return FromProto(result.response());
                     },
                     /*wait_for_ready=*/false);
               }),
      confirm_({.name = "confirm"},
               [this](auto items) {
                 return Flush<Done>(
                     inventory_, &InventoryService::Stub::PrepareAsyncBatchConfirm,
                     inventory::v1::BatchConfirmRequest(), std::move(items),
                     [](auto& batch, std::string& id) { batch.add_order_ids(std::move(id)); }, kTakeError);
               }),
      release_({.name = "release"},
               [this](auto items) {
                 return Flush<Done>(inventory_, &InventoryService::Stub::PrepareAsyncBatchRelease,
                                    inventory::v1::BatchReleaseRequest(), std::move(items), kAddRequest, kTakeError);
               }),
      charge_({.name = "charge"},
              [this](auto items) {
                return Flush<Done>(payment_, &PaymentService::Stub::PrepareAsyncBatchCharge,
                                   payment::v1::BatchChargeRequest(), std::move(items), kAddRequest, kTakeError);
              }),
      refund_({.name = "refund"}, [this](auto items) {
        return Flush<Done>(payment_, &PaymentService::Stub::PrepareAsyncBatchRefund, payment::v1::BatchRefundRequest(),
                           std::move(items), kAddRequest, kTakeError);
      }) {}

async::Task<absl::StatusOr<Reservation>> Participants::Reserve(const Order& order, absl::Time now,
                                                               absl::Time deadline) {
  inventory::v1::ReserveRequest request;
  request.set_order_id(order.order_id);
  for (const Line& line : order.lines) {
    auto* out = request.add_lines();
    out->set_sku(line.sku);
    out->set_quantity(line.quantity);
  }
  absl::Duration hold = hold_;
  if (order.payment_method == PaymentMethod::kExternal) hold += order.pay_by - now;
  request.mutable_hold()->set_seconds(absl::ToInt64Seconds(hold));
  request.set_user_id(order.user_id);
  return reserve_.Call({std::move(request), deadline});
}

async::Task<absl::Status> Participants::Confirm(std::string order_id, absl::Time deadline) {
  return StatusOf(confirm_.Call({std::move(order_id), deadline}));
}

async::Task<absl::Status> Participants::Release(std::string order_id, bool return_sold, absl::Time deadline) {
  inventory::v1::ReleaseRequest request;
  request.set_order_id(std::move(order_id));
  request.set_return_sold(return_sold);
  return StatusOf(release_.Call({std::move(request), deadline}));
}

async::Task<absl::Status> Participants::Charge(const Order& order, absl::Time deadline) {
  payment::v1::ChargeRequest request;
  request.set_order_id(order.order_id);
  request.set_user_id(order.user_id);
  request.mutable_amount()->set_currency_code(order.currency);
  request.mutable_amount()->set_minor_units(order.total);
  return StatusOf(charge_.Call({std::move(request), deadline}));
}

async::Task<absl::Status> Participants::Refund(std::string order_id, absl::Time deadline) {
  payment::v1::RefundRequest request;
  request.set_order_id(std::move(order_id));
  return StatusOf(refund_.Call({std::move(request), deadline}));
}

async::Task<absl::Status> Participants::RefundPart(const Order& order, std::string refund_id, std::int64_t amount,
                                                   absl::Time deadline) {
  payment::v1::RefundRequest request;
  request.set_order_id(order.order_id);
  request.set_refund_id(std::move(refund_id));
  request.mutable_amount()->set_currency_code(order.currency);
  request.mutable_amount()->set_minor_units(amount);
  return StatusOf(refund_.Call({std::move(request), deadline}));
}

async::Task<absl::StatusOr<payment::v1::BatchGetPaymentsResponse>> Participants::GetPayments(
    std::vector<std::string> order_ids) {
  payment::v1::BatchGetPaymentsRequest request;
  for (std::string& id : order_ids) request.add_order_ids(std::move(id));
  // Whoever asks comes again, so he need not wait for an instance to be there.
  const rpc::CallOptions options{.timeout = kCallTimeout, .wait_for_ready = false};
  return payment_.Call(&PaymentService::Stub::PrepareAsyncBatchGetPayments, std::move(request), options);
}

async::Task<absl::StatusOr<std::string>> Participants::CreatePayment(const Order& order, absl::Time deadline) {
  payment::v1::CreatePaymentRequest request;
  request.set_order_id(order.order_id);
  request.set_user_id(order.user_id);
  request.mutable_amount()->set_currency_code(order.currency);
  request.mutable_amount()->set_minor_units(order.total);
  request.mutable_expire_time()->set_seconds(absl::ToUnixSeconds(order.pay_by));
  absl::StatusOr<payment::v1::CreatePaymentResponse> response =
      co_await payment_.Call(&PaymentService::Stub::PrepareAsyncCreatePayment, std::move(request),
                             rpc::CallOptions{.timeout = kCallTimeout, .deadline = deadline});
  if (!response.ok()) co_return response.status();
  co_return std::move(*response->mutable_reference());
}

}  // namespace flotilla::order
