// The handlers of flotilla.notify.v1.NotifyService.
#pragma once

#include "async/task.h"
#include "flotilla/notify/v1/notify_service.grpc.pb.h"
#include "notify/store/inbox.h"
#include "notify/workflow/hub.h"
#include "prometheus/gauge.h"
#include "rpc/server.h"

namespace flotilla::notify {

class NotifyApi {
 public:
  // Adds the service to `server`, whose calls this object and the references outlive.
  NotifyApi(rpc::Server& server, Inbox& inbox, Hub& hub);

 private:
  async::Task<absl::StatusOr<v1::ListNotificationsResponse>> ListNotifications(
      rpc::Call& call, const v1::ListNotificationsRequest& request);
  async::Task<absl::Status> Subscribe(rpc::Call& call, const v1::SubscribeRequest& request,
                                      rpc::ServerWriter<v1::SubscribeResponse>& writer);
  async::Task<absl::Status> Follow(rpc::Call& call, std::int64_t after,
                                   rpc::ServerWriter<v1::SubscribeResponse>& writer);

  Inbox& inbox_;
  Hub& hub_;
  prometheus::Gauge& subscribers_;
};

}  // namespace flotilla::notify
