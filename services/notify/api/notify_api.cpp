#include "notify/api/notify_api.h"

#include <algorithm>
#include <memory>

#include "absl/time/clock.h"
#include "notify/api/convert.h"
#include "telemetry/metrics.h"

namespace flotilla::notify {
namespace {

// How soon a subscription notices that its client has gone.
constexpr absl::Duration kTurn = absl::Milliseconds(500);

}  // namespace

NotifyApi::NotifyApi(rpc::Server& server, Inbox& inbox, Hub& hub)
    : inbox_(inbox),
      hub_(hub),
      subscribers_(telemetry::Gauge("flotilla_notify_subscribers", "Open Subscribe streams")) {
  using Service = v1::NotifyService::AsyncService;
  auto service = std::make_shared<Service>();
  server.AddService(service);
  server.Unary(service.get(), &Service::RequestListNotifications, "flotilla.notify.v1.NotifyService/ListNotifications",
               [this](rpc::Call& call, const v1::ListNotificationsRequest& request) {
                 return ListNotifications(call, request);
               });
  server.ServerStreaming(
      service.get(), &Service::RequestSubscribe, "flotilla.notify.v1.NotifyService/Subscribe",
      [this](rpc::Call& call, const v1::SubscribeRequest& request, rpc::ServerWriter<v1::SubscribeResponse>& writer) {
        return Subscribe(call, request, writer);
      });
}

async::Task<absl::StatusOr<v1::ListNotificationsResponse>> NotifyApi::ListNotifications(
    rpc::Call& call, const v1::ListNotificationsRequest& request) {
  absl::StatusOr<Inbox::Query> query = Parse(call.user_id, request);
  if (!query.ok()) co_return query.status();
  const auto page = static_cast<std::size_t>(query->limit);
  ++query->limit;  // one more tells whether there is a next page
  const absl::StatusOr<std::vector<Notification>> list = co_await inbox_.List(*std::move(query));
  if (!list.ok()) co_return list.status();
  v1::ListNotificationsResponse response;
  const std::size_t count = std::min(list->size(), page);
  for (std::size_t i = 0; i < count; ++i) Fill((*list)[i], response.add_notifications());
  if (list->size() > count) response.set_next_page_token(PageToken((*list)[count - 1]));
  co_return response;
}

async::Task<absl::Status> NotifyApi::Subscribe(rpc::Call& call, const v1::SubscribeRequest& request,
                                               rpc::ServerWriter<v1::SubscribeResponse>& writer) {
  const absl::StatusOr<std::int64_t> after = Parse(call.user_id, request);
  if (!after.ok()) co_return after.status();
  subscribers_.Increment();
  absl::Status status = co_await Follow(call, *after, writer);
  subscribers_.Decrement();
  co_return status;
}

async::Task<absl::Status> NotifyApi::Follow(rpc::Call& call, std::int64_t after,
                                            rpc::ServerWriter<v1::SubscribeResponse>& writer) {
  const auto ticket = hub_.Register(call.user_id);
  for (bool news = true;;) {
    if (call.cancelled()) co_return absl::UnavailableError("the client has gone or the server is stopping");
    if (!news) {
      const auto woken = co_await ticket->Wait(absl::Now() + kTurn);
      news = !woken.empty();
      continue;
    }
    const absl::StatusOr<std::vector<Notification>> list = co_await inbox_.Tail(call.user_id, after);
    if (!list.ok()) co_return list.status();
    for (const Notification& notification : *list) {
      v1::SubscribeResponse response;
      Fill(notification, response.mutable_notification());
      const bool written = co_await writer.Write(response);
      if (!written) co_return absl::CancelledError("the client has gone");
      after = notification.sequence;
    }
    news = list->size() == Inbox::kTailLimit;  // a full page: there may be more
  }
}

}  // namespace flotilla::notify
