// Webhook endpoints and the log of deliveries to them, for their owners. One method is one transaction. Blocking and
// single-threaded. Errors: see Session::Transact.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "notify/domain/webhook.h"
#include "postgres/session.h"

namespace flotilla::notify {

class EndpointStore {
 public:
  static constexpr int kMaxEndpoints = 10;  // of one user

  explicit EndpointStore(postgres::Options options) : session_(std::move(options)) {}

  // ALREADY_EXISTS: the user has one with this URL. RESOURCE_EXHAUSTED: too many.
  absl::Status Add(const Endpoint& endpoint);
  // Oldest first, without secrets.
  absl::StatusOr<std::vector<Endpoint>> List(const std::string& user_id);
  // With its deliveries. False where the user has no such endpoint; likewise below.
  absl::StatusOr<bool> Remove(const std::string& user_id, const std::string& endpoint_id);
  // What is pending goes out again at once.
  absl::StatusOr<bool> Enable(const std::string& user_id, const std::string& endpoint_id);

  // From now on deliveries are signed with `secret`, and for `overlap` with the one before as well; one that was older
  // still counts no more.
  absl::StatusOr<bool> Rotate(const std::string& user_id, const std::string& endpoint_id, const std::string& secret,
                              absl::Duration overlap);

  struct LogQuery {
    std::string user_id;
    std::string endpoint_id;
    std::int64_t before = 0;  // delivery id; 0: from the newest
    int limit = 0;
    int state = 0;  // DeliveryState; 0: all
  };
  // Newest first.
  absl::StatusOr<std::vector<Delivery>> Log(const LogQuery& query);
  // Sends it again at once, with all its attempts before it, whatever became of it.
  absl::StatusOr<bool> Redeliver(const std::string& user_id, std::int64_t delivery_id);

 private:
  postgres::Session session_;
};

}  // namespace flotilla::notify
