// The handlers of flotilla.notify.v1.NotifyAdminService.
#pragma once

#include "async/task.h"
#include "flotilla/notify/v1/notify_admin_service.grpc.pb.h"
#include "notify/store/stores.h"
#include "rpc/server.h"

namespace flotilla::notify {

class NotifyAdminApi {
 public:
  // Adds the service to `server`, whose calls this object and the reference outlive.
  NotifyAdminApi(rpc::Server& server, StoreCalls& stores);

 private:
  async::Task<absl::StatusOr<v1::ListDeadLettersResponse>> ListDeadLetters(rpc::Call& call,
                                                                           const v1::ListDeadLettersRequest& request);
  async::Task<absl::StatusOr<v1::RedeliverDeadLetterResponse>> RedeliverDeadLetter(
      rpc::Call& call, const v1::RedeliverDeadLetterRequest& request);
  async::Task<absl::StatusOr<v1::DiscardDeadLetterResponse>> DiscardDeadLetter(
      rpc::Call& call, const v1::DiscardDeadLetterRequest& request);

  StoreCalls& stores_;
};

}  // namespace flotilla::notify
