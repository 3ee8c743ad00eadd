// Between the wire and the domain. Errors: INVALID_ARGUMENT (INVALID_FIELD) naming the field, UNAUTHENTICATED (NO_USER)
// where the call has no user.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "flotilla/notify/v1/notify_service.pb.h"
#include "notify/domain/notification.h"
#include "notify/store/inbox.h"

namespace flotilla::notify {

absl::StatusOr<Inbox::Query> Parse(const std::string& user_id, const v1::ListNotificationsRequest& request);
// The sequence to go on after.
absl::StatusOr<std::int64_t> Parse(const std::string& user_id, const v1::SubscribeRequest& request);

void Fill(const Notification& notification, v1::Notification* proto);
// The token of the page after `last`: opaque to clients.
std::string PageToken(const Notification& last);

}  // namespace flotilla::notify
