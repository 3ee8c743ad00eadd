// The handlers of flotilla.notify.v1.NotifyService.
#pragma once

#include "absl/time/time.h"
#include "async/steady_time.h"
#include "async/task.h"
#include "events/age.h"
#include "flotilla/notify/v1/notify_service.grpc.pb.h"
#include "notify/api/subscriptions.h"
#include "notify/store/inbox.h"
#include "notify/store/stores.h"
#include "notify/workflow/hub.h"
#include "prometheus/counter.h"
#include "rpc/server.h"

namespace flotilla::notify {

class NotifyApi {
 public:
  struct Options {
    SubscriptionLimits limits;
    absl::Duration heartbeat = absl::Seconds(15);  // after so long without a notification
  };

  // Adds the service to `server`, whose calls this object and the references outlive.
  NotifyApi(rpc::Server& server, Inbox& inbox, StoreCalls& stores, Hub& hub, Options options);

 private:
  template <class Response>
  using Reply = async::Task<absl::StatusOr<Response>>;

  Reply<v1::ListNotificationsResponse> ListNotifications(rpc::Call& call, const v1::ListNotificationsRequest& request);
  Reply<v1::GetMailboxResponse> GetMailbox(rpc::Call& call, const v1::GetMailboxRequest& request);
  Reply<v1::MarkReadResponse> MarkRead(rpc::Call& call, const v1::MarkReadRequest& request);
  Reply<v1::GetPreferencesResponse> GetPreferences(rpc::Call& call, const v1::GetPreferencesRequest& request);
  Reply<v1::SetPreferencesResponse> SetPreferences(rpc::Call& call, const v1::SetPreferencesRequest& request);
  async::Task<absl::Status> Subscribe(rpc::Call& call, const v1::SubscribeRequest& request,
                                      rpc::ServerWriter<v1::SubscribeResponse>& writer);
  // A subscriber.
  struct Stream {
    rpc::ServerWriter<v1::SubscribeResponse>& writer;
    std::int64_t after;           // the last number it has
    async::SteadyTime heartbeat;  // when it gets one
  };
  async::Task<bool> Send(Stream& stream, const Notification& notification);

  Inbox& inbox_;
  StoreCalls& stores_;
  Hub& hub_;
  const Options options_;
  Subscriptions subscriptions_;
  prometheus::Counter& streamed_;
  events::Age age_{"streamed"};
};

}  // namespace flotilla::notify
