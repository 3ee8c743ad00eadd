#include "notify/api/notify_api.h"

#include <algorithm>
#include <memory>

#include "notify/api/convert.h"
#include "telemetry/metrics.h"
#include "validation/validation.h"

namespace flotilla::notify {
namespace {

// How soon a subscription notices that its client has gone.
constexpr absl::Duration kTurn = absl::Seconds(1);

absl::Status Gone() { return absl::CancelledError("the client has gone"); }

}  // namespace

NotifyApi::NotifyApi(rpc::Server& server, Inbox& inbox, StoreCalls& stores, Hub& hub, Options options)
    : inbox_(inbox),
      stores_(stores),
      hub_(hub),
      options_(options),
      subscriptions_(options.limits),
      streamed_(telemetry::Counter("flotilla_notify_streamed_total", "Notifications that streams have taken")) {
  using Service = v1::NotifyService::AsyncService;
  auto service = std::make_shared<Service>();
  server.AddService(service);
  const auto add = [&](auto requester, const char* method, auto handler) {
    server.Unary(service.get(), requester, method,
                 [this, handler](rpc::Call& call, const auto& request) { return (this->*handler)(call, request); });
  };
  add(&Service::RequestListNotifications, "flotilla.notify.v1.NotifyService/ListNotifications",
      &NotifyApi::ListNotifications);
  add(&Service::RequestGetMailbox, "flotilla.notify.v1.NotifyService/GetMailbox", &NotifyApi::GetMailbox);
  add(&Service::RequestMarkRead, "flotilla.notify.v1.NotifyService/MarkRead", &NotifyApi::MarkRead);
  add(&Service::RequestGetPreferences, "flotilla.notify.v1.NotifyService/GetPreferences", &NotifyApi::GetPreferences);
  add(&Service::RequestSetPreferences, "flotilla.notify.v1.NotifyService/SetPreferences", &NotifyApi::SetPreferences);
  server.ServerStreaming(
      service.get(), &Service::RequestSubscribe, "flotilla.notify.v1.NotifyService/Subscribe",
      [this](rpc::Call& call, const v1::SubscribeRequest& request, rpc::ServerWriter<v1::SubscribeResponse>& writer) {
        return Subscribe(call, request, writer);
      });
}

NotifyApi::Reply<v1::ListNotificationsResponse> NotifyApi::ListNotifications(
    rpc::Call& call, const v1::ListNotificationsRequest& request) {
  absl::StatusOr<MailboxStore::Query> query = Parse(call.user_id, request);
  if (!query.ok()) co_return query.status();
  const auto page = static_cast<std::size_t>(query->limit);
  ++query->limit;  // one more tells whether there is a next page
  const absl::StatusOr<std::vector<Notification>> list = co_await stores_.Run<std::vector<Notification>>(
      [&query](Stores& stores) { return stores.mailboxes.List(*query); });
  if (!list.ok()) co_return list.status();
  v1::ListNotificationsResponse response;
  const std::size_t count = std::min(list->size(), page);
  for (std::size_t i = 0; i < count; ++i) Fill((*list)[i], response.add_notifications());
  if (list->size() > count) response.set_next_page_token(PageToken((*list)[count - 1]));
  co_return response;
}

NotifyApi::Reply<v1::GetMailboxResponse> NotifyApi::GetMailbox(rpc::Call& call, const v1::GetMailboxRequest&) {
  if (auto status = validation::CheckUser(call.user_id); !status.ok()) co_return status;
  const absl::StatusOr<MailboxStore::Summary> summary = co_await stores_.Run<MailboxStore::Summary>(
      [&call](Stores& stores) { return stores.mailboxes.Summarize(call.user_id); });
  if (!summary.ok()) co_return summary.status();
  v1::GetMailboxResponse response;
  Fill(*summary, response.mutable_mailbox());
  co_return response;
}

NotifyApi::Reply<v1::MarkReadResponse> NotifyApi::MarkRead(rpc::Call& call, const v1::MarkReadRequest& request) {
  if (auto status = Check(call.user_id, request); !status.ok()) co_return status;
  const absl::StatusOr<MailboxStore::Summary> summary =
      co_await stores_.Run<MailboxStore::Summary>([&call, &request](Stores& stores) {
        return stores.mailboxes.MarkRead(call.user_id, request.through_sequence(),
                                         {request.sequences().begin(), request.sequences().end()});
      });
  if (!summary.ok()) co_return summary.status();
  v1::MarkReadResponse response;
  Fill(*summary, response.mutable_mailbox());
  co_return response;
}

NotifyApi::Reply<v1::GetPreferencesResponse> NotifyApi::GetPreferences(rpc::Call& call,
                                                                       const v1::GetPreferencesRequest&) {
  if (auto status = validation::CheckUser(call.user_id); !status.ok()) co_return status;
  const absl::StatusOr<Preferences> preferences = co_await stores_.Run<Preferences>(
      [&call](Stores& stores) { return stores.mailboxes.ReadPreferences(call.user_id); });
  if (!preferences.ok()) co_return preferences.status();
  v1::GetPreferencesResponse response;
  Fill(*preferences, response.mutable_preferences());
  co_return response;
}

NotifyApi::Reply<v1::SetPreferencesResponse> NotifyApi::SetPreferences(rpc::Call& call,
                                                                       const v1::SetPreferencesRequest& request) {
  const absl::StatusOr<Preferences> preferences = Parse(call.user_id, request);
  if (!preferences.ok()) co_return preferences.status();
  const absl::StatusOr<Preferences> stored =
      co_await stores_.Run<Preferences>([&](Stores& stores) -> absl::StatusOr<Preferences> {
        if (auto status = stores.mailboxes.WritePreferences(call.user_id, *preferences); !status.ok()) return status;
        return *preferences;
      });
  if (!stored.ok()) co_return stored.status();
  v1::SetPreferencesResponse response;
  Fill(*stored, response.mutable_preferences());
  co_return response;
}

// A reader that is slow or stopped costs one page of notifications and nobody else's time: more is taken only once
// gRPC's flow control has taken this one. What this process stored comes with the news; everything else is read.
async::Task<absl::Status> NotifyApi::Subscribe(rpc::Call& call, const v1::SubscribeRequest& request,
                                               rpc::ServerWriter<v1::SubscribeResponse>& writer) {
  const absl::StatusOr<std::int64_t> start = Parse(call.user_id, request);
  if (!start.ok()) co_return start.status();
  const absl::StatusOr<Subscriptions::Place> place = subscriptions_.Enter(call.user_id);
  if (!place.ok()) co_return place.status();
  const auto ticket = hub_.Register(call.user_id);
  Stream stream{.writer = writer, .after = *start, .heartbeat = async::After(options_.heartbeat)};
  for (bool read = true;;) {
    if (call.cancelled()) co_return absl::UnavailableError("the client has gone or the server is stopping");
    if (async::SteadyNow() >= stream.heartbeat) {
      v1::SubscribeResponse response;
      response.mutable_heartbeat()->set_sequence(stream.after);
      const bool written = co_await writer.Write(response);
      if (!written) co_return Gone();
      stream.heartbeat = async::After(options_.heartbeat);
    }
    if (read) {
      const absl::StatusOr<std::vector<Notification>> list = co_await inbox_.Tail(call.user_id, stream.after);
      if (!list.ok()) co_return list.status();
      for (const Notification& notification : *list) {
        const bool written = co_await Send(stream, notification);
        if (!written) co_return Gone();
      }
      read = list->size() == Inbox::kTailLimit;  // a full page: there may be more
      continue;
    }
    const std::vector<Grown> news = co_await ticket->Wait(std::min(async::After(kTurn), stream.heartbeat));
    for (const Grown& grown : news) {
      if (grown.through <= stream.after) continue;
      read = grown.notification == nullptr || grown.through != stream.after + 1;
      if (read) break;
      const bool written = co_await Send(stream, *grown.notification);
      if (!written) co_return Gone();
    }
  }
}

// False: the client has gone.
async::Task<bool> NotifyApi::Send(Stream& stream, const Notification& notification) {
  stream.after = notification.sequence;
  if ((notification.channels & kStream) == 0) co_return true;
  v1::SubscribeResponse response;
  Fill(notification, response.mutable_notification());
  const bool written = co_await stream.writer.Write(response);
  if (!written) co_return false;
  streamed_.Increment();
  age_.Observe(notification.occurred_at);
  stream.heartbeat = async::After(options_.heartbeat);
  co_return true;
}

}  // namespace flotilla::notify
