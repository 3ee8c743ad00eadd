#include "notify/api/convert.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "errors/errors.h"
#include "google/protobuf/util/time_util.h"
#include "validation/validation.h"

namespace flotilla::notify {
namespace {

constexpr char kTokenMark[] = "n";  // a token of another service is not taken for one of ours

}  // namespace

absl::StatusOr<Inbox::Query> Parse(const std::string& user_id, const v1::ListNotificationsRequest& request) {
  if (auto status = validation::CheckUser(user_id); !status.ok()) return status;
  const absl::StatusOr<int> page_size = validation::PageSize(request.page_size());
  if (!page_size.ok()) return page_size.status();
  Inbox::Query query{.user_id = user_id, .limit = *page_size};
  const std::string& token = request.page_token();
  if (!token.empty() &&
      (!token.starts_with(kTokenMark) || !absl::SimpleAtoi(token.substr(1), &query.after) || query.after < 1)) {
    return errors::InvalidField("page_token", "was not given by this service");
  }
  return query;
}

absl::StatusOr<std::int64_t> Parse(const std::string& user_id, const v1::SubscribeRequest& request) {
  if (auto status = validation::CheckUser(user_id); !status.ok()) return status;
  if (request.after_sequence() < 0) return errors::InvalidField("after_sequence", "must not be negative");
  return request.after_sequence();
}

void Fill(const Notification& notification, v1::Notification* proto) {
  proto->set_sequence(notification.sequence);
  proto->set_event_id(notification.event_id);
  proto->set_type(notification.type);
  proto->set_order_id(notification.order_id);
  proto->set_text(notification.text);
  *proto->mutable_occur_time() =
      google::protobuf::util::TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(notification.occurred_at));
}

std::string PageToken(const Notification& last) { return absl::StrCat(kTokenMark, last.sequence); }

}  // namespace flotilla::notify
