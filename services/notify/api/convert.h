// Between the wire and the domain. Errors: INVALID_ARGUMENT (INVALID_FIELD) naming the field, UNAUTHENTICATED (NO_USER)
// where the call has no user.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "flotilla/notify/v1/notify_admin_service.pb.h"
#include "flotilla/notify/v1/notify_service.pb.h"
#include "notify/codec/codec.h"
#include "notify/store/dead_letter_store.h"
#include "notify/store/mailbox_store.h"

namespace flotilla::notify {

absl::Status CheckTypes(const google::protobuf::RepeatedPtrField<std::string>& types, const std::string& field);

absl::StatusOr<MailboxStore::Query> Parse(const std::string& user_id, const v1::ListNotificationsRequest& request);
// The sequence to go on after.
absl::StatusOr<std::int64_t> Parse(const std::string& user_id, const v1::SubscribeRequest& request);
absl::Status Check(const std::string& user_id, const v1::MarkReadRequest& request);
absl::StatusOr<Preferences> Parse(const std::string& user_id, const v1::SetPreferencesRequest& request);
absl::StatusOr<DeadLetterStore::Query> Parse(const v1::ListDeadLettersRequest& request);
// Of a dead letter.
absl::Status CheckEventId(const std::string& event_id);

void Fill(const MailboxStore::Summary& summary, v1::Mailbox* proto);
void Fill(const Preferences& preferences, v1::Preferences* proto);
void Fill(const DeadLetter& letter, v1::DeadLetter* proto);
// The token of the page after `last`: opaque to clients.
std::string PageToken(const Notification& last);
std::string PageToken(const DeadLetter& last);

}  // namespace flotilla::notify
