#include "order/workflow/participants.h"

#include <algorithm>

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

// Answers for `count` items: `convert(response, i)` for each, or the call's error for all. A response of another length
// leaves a list of that length, which the batcher refuses.
template <class Result, class Response, class Size, class Convert>
std::vector<absl::StatusOr<Result>> Spread(const absl::StatusOr<Response>& response, std::size_t count, Size size,
                                           Convert convert) {
  if (!response.ok()) return std::vector<absl::StatusOr<Result>>(count, response.status());
  std::vector<absl::StatusOr<Result>> results;
  results.reserve(count);
  for (int i = 0; i < size(*response); ++i) results.push_back(convert(*response, i));
  return results;
}

template <class Result>
absl::StatusOr<Result> FromStatus(const google::rpc::Status& status) {
  if (status.code() != 0) return errors::FromProto(status);
  return Result{};
}

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
               [this](auto items) -> async::Task<std::vector<absl::StatusOr<Reservation>>> {
                 const auto options = OptionsFor(items);
                 const std::size_t count = items.size();
                 inventory::v1::BatchReserveRequest request;
                 for (auto& item : items) request.add_requests()->Swap(&item.request);
                 const auto response = co_await inventory_.Call(&InventoryService::Stub::PrepareAsyncBatchReserve,
                                                                std::move(request), options);
                 co_return Spread<Reservation>(
                     response, count, [](const auto& r) { return r.results_size(); },
                     [](const auto& r, int i) -> absl::StatusOr<Reservation> {
                       if (r.results(i).has_error()) return errors::FromProto(r.results(i).error());
                       return FromProto(r.results(i).response());
                     });
               }),
      confirm_({.name = "confirm"},
               [this](auto items) -> async::Task<std::vector<absl::StatusOr<Nothing>>> {
                 const auto options = OptionsFor(items);
                 const std::size_t count = items.size();
                 inventory::v1::BatchConfirmRequest request;
                 for (auto& item : items) request.add_order_ids(std::move(item.request));
                 const auto response = co_await inventory_.Call(&InventoryService::Stub::PrepareAsyncBatchConfirm,
                                                                std::move(request), options);
                 co_return Spread<Nothing>(
                     response, count, [](const auto& r) { return r.results_size(); },
                     [](const auto& r, int i) { return FromStatus<Nothing>(r.results(i)); });
               }),
      release_({.name = "release"},
               [this](auto items) -> async::Task<std::vector<absl::StatusOr<Nothing>>> {
                 const auto options = OptionsFor(items);
                 const std::size_t count = items.size();
                 inventory::v1::BatchReleaseRequest request;
                 for (auto& item : items) request.add_requests()->Swap(&item.request);
                 const auto response = co_await inventory_.Call(&InventoryService::Stub::PrepareAsyncBatchRelease,
                                                                std::move(request), options);
                 co_return Spread<Nothing>(
                     response, count, [](const auto& r) { return r.results_size(); },
                     [](const auto& r, int i) { return FromStatus<Nothing>(r.results(i)); });
               }),
      charge_({.name = "charge"},
              [this](auto items) -> async::Task<std::vector<absl::StatusOr<Nothing>>> {
                const auto options = OptionsFor(items);
                const std::size_t count = items.size();
                payment::v1::BatchChargeRequest request;
                for (auto& item : items) request.add_requests()->Swap(&item.request);
                const auto response =
                    co_await payment_.Call(&PaymentService::Stub::PrepareAsyncBatchCharge, std::move(request), options);
                co_return Spread<Nothing>(
                    response, count, [](const auto& r) { return r.results_size(); },
                    [](const auto& r, int i) { return FromStatus<Nothing>(r.results(i).error()); });
              }),
      refund_({.name = "refund"}, [this](auto items) -> async::Task<std::vector<absl::StatusOr<Nothing>>> {
        const auto options = OptionsFor(items);
        const std::size_t count = items.size();
        payment::v1::BatchRefundRequest request;
        for (auto& item : items) request.add_requests()->Swap(&item.request);
        const auto response =
            co_await payment_.Call(&PaymentService::Stub::PrepareAsyncBatchRefund, std::move(request), options);
        co_return Spread<Nothing>(
            response, count, [](const auto& r) { return r.results_size(); },
            [](const auto& r, int i) { return FromStatus<Nothing>(r.results(i).error()); });
      }) {}

async::Task<absl::StatusOr<Reservation>> Participants::Reserve(const Order& order, absl::Time deadline) {
  inventory::v1::ReserveRequest request;
  request.set_order_id(order.order_id);
  for (const Line& line : order.lines) {
    auto* out = request.add_lines();
    out->set_sku(line.sku);
    out->set_quantity(line.quantity);
  }
  request.mutable_hold()->set_seconds(absl::ToInt64Seconds(hold_));
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

}  // namespace flotilla::order
