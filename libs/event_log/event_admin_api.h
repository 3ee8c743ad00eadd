// The handlers of flotilla.event.v1.EventAdminService.
#pragma once

#include "async/task.h"
#include "batch/offload.h"
#include "events/replay.h"
#include "flotilla/event/v1/event_admin_service.grpc.pb.h"
#include "rpc/server.h"

namespace flotilla::event_log {

namespace v1 = flotilla::event::v1;

class EventAdminApi {
 public:
  // Adds the service to `server`, whose calls this object outlives.
  EventAdminApi(rpc::Server& server, const events::Replayer::Options& options);

 private:
  template <class Response>
  using Reply = async::Task<absl::StatusOr<Response>>;

  Reply<v1::ReplayEventsResponse> ReplayEvents(rpc::Call& call, const v1::ReplayEventsRequest& request);
  Reply<v1::ListReplaysResponse> ListReplays(rpc::Call& call, const v1::ListReplaysRequest& request);

  batch::Offload<events::Replayer> replayer_;  // one at a time
};

}  // namespace flotilla::event_log
