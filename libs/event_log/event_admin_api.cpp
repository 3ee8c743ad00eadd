#include "event_log/event_admin_api.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "event_log/convert.h"
#include "validation/validation.h"

namespace flotilla::event_log {

EventAdminApi::EventAdminApi(rpc::Server& server, const events::Replayer::Options& options)
    : replayer_({.name = "replay", .workers = 1, .max_queue = 4},
                [options] { return std::make_shared<events::Replayer>(options); }) {
  using Service = v1::EventAdminService::AsyncService;
  auto service = std::make_shared<Service>();
  server.AddService(service);
  const auto add = [&](auto requester, const char* method, auto handler) {
    server.Unary(service.get(), requester, method,
                 [this, handler](rpc::Call& call, const auto& request) { return (this->*handler)(call, request); });
  };
  add(&Service::RequestReplayEvents, "flotilla.event.v1.EventAdminService/ReplayEvents", &EventAdminApi::ReplayEvents);
  add(&Service::RequestListReplays, "flotilla.event.v1.EventAdminService/ListReplays", &EventAdminApi::ListReplays);
}

EventAdminApi::Reply<v1::ReplayEventsResponse> EventAdminApi::ReplayEvents(rpc::Call& call,
                                                                           const v1::ReplayEventsRequest& request) {
  if (auto status = validation::CheckUser(call.user_id); !status.ok()) co_return status;
  const absl::StatusOr<events::ReplayRequest> parsed = Parse(request, call.user_id, absl::Now());
  if (!parsed.ok()) co_return parsed.status();
  const absl::StatusOr<events::Replay> replay =
      co_await replayer_.Run<events::Replay>([&parsed](events::Replayer& replayer) { return replayer.Run(*parsed); });
  if (!replay.ok()) co_return replay.status();
  v1::ReplayEventsResponse response;
  response.set_replay_id(replay->replay_id);
  response.set_published(replay->published);
  response.set_next_page_token(replay->next);
  co_return response;
}

EventAdminApi::Reply<v1::ListReplaysResponse> EventAdminApi::ListReplays(rpc::Call& call,
                                                                         const v1::ListReplaysRequest& request) {
  if (auto status = validation::CheckUser(call.user_id); !status.ok()) co_return status;
  const absl::StatusOr<int> page = validation::PageSize(request.page_size());
  if (!page.ok()) co_return page.status();
  const absl::StatusOr<std::int64_t> before = ParseToken(request);
  if (!before.ok()) co_return before.status();
  const auto limit = static_cast<std::size_t>(*page);
  const absl::StatusOr<std::vector<events::ReplayRecord>> records =
      co_await replayer_.Run<std::vector<events::ReplayRecord>>([&](events::Replayer& replayer) {
        return replayer.List(*before, limit + 1);  // one more tells whether there is a next page
      });
  if (!records.ok()) co_return records.status();
  v1::ListReplaysResponse response;
  const std::size_t count = std::min(records->size(), limit);
  for (std::size_t i = 0; i < count; ++i) Fill((*records)[i], response.add_replays());
  if (records->size() > count) response.set_next_page_token(absl::StrCat((*records)[count - 1].replay_id));
  co_return response;
}

}  // namespace flotilla::event_log
