#include "notify/api/convert.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "errors/errors.h"

namespace flotilla::notify {
namespace {

constexpr int kDefaultPage = 50;
constexpr int kMaxPage = 1000;
constexpr char kTokenMark[] = "n";  // a token of another service is not taken for one of ours

absl::Status CheckUser(const std::string& user_id) {
  if (!user_id.empty()) return absl::OkStatus();
  return errors::Make(absl::StatusCode::kUnauthenticated, "NO_USER",
                      "the call carries no user (metadata flotilla-user)");
}

}  // namespace

absl::StatusOr<Inbox::Query> Parse(const std::string& user_id, const v1::ListNotificationsRequest& request) {
  if (auto status = CheckUser(user_id); !status.ok()) return status;
  if (request.page_size() < 0 || request.page_size() > kMaxPage) {
    return errors::InvalidField("page_size", "must be 0 to 1000");
  }
  Inbox::Query query{.user_id = user_id, .limit = request.page_size() == 0 ? kDefaultPage : request.page_size()};
  const std::string& token = request.page_token();
  if (!token.empty() &&
      (!token.starts_with(kTokenMark) || !absl::SimpleAtoi(token.substr(1), &query.after) || query.after < 1)) {
    return errors::InvalidField("page_token", "was not given by this service");
  }
  return query;
}

absl::StatusOr<std::int64_t> Parse(const std::string& user_id, const v1::SubscribeRequest& request) {
  if (auto status = CheckUser(user_id); !status.ok()) return status;
  if (request.after_sequence() < 0) return errors::InvalidField("after_sequence", "must not be negative");
  return request.after_sequence();
}

void Fill(const Notification& notification, v1::Notification* proto) {
  proto->set_sequence(notification.sequence);
  proto->set_event_id(notification.event_id);
  proto->set_type(notification.type);
  proto->set_order_id(notification.order_id);
  proto->set_text(notification.text);
  const std::int64_t micros = absl::ToUnixMicros(notification.occurred_at);
  proto->mutable_occur_time()->set_seconds(micros / 1'000'000);
  proto->mutable_occur_time()->set_nanos(static_cast<int>(micros % 1'000'000) * 1000);
}

std::string PageToken(const Notification& last) { return absl::StrCat(kTokenMark, last.sequence); }

}  // namespace flotilla::notify
