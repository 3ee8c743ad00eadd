// Within this room: proto <-> replays, and what a request must be. Errors: INVALID_ARGUMENT (INVALID_FIELD).
#pragma once

#include "events/replay.h"
#include "flotilla/event/v1/event_admin_service.pb.h"

namespace flotilla::event_log {

absl::StatusOr<events::ReplayRequest> Parse(const event::v1::ReplayEventsRequest& request, const std::string& user,
                                            absl::Time now);
// The id that a page begins below; 0 for the first.
absl::StatusOr<std::int64_t> ParseToken(const event::v1::ListReplaysRequest& request);
void Fill(const events::ReplayRecord& record, event::v1::Replay* proto);

}  // namespace flotilla::event_log
