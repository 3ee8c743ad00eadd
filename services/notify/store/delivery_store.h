// What is to be sent to webhooks, shared out among all instances. One method is one transaction. Blocking and
// single-threaded. Errors: see Session::Transact.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "notify/domain/webhook.h"
#include "postgres/session.h"

namespace flotilla::notify {

class DeliveryStore {
 public:
  DeliveryStore(postgres::Options options, RetryPolicy policy) : session_(std::move(options)), policy_(policy) {}

  // Takes attempts that are due: at most `per_endpoint` of each of at most `endpoints` endpoints, those in `busy` left
  // out. They belong to the caller for `lease`; one that is not finished until then is due again, so what dies with an
  // instance is sent by another.
  absl::StatusOr<std::vector<Attempt>> Claim(int endpoints, int per_endpoint, const std::vector<std::string>& busy,
                                             absl::Duration lease);

  // Delivered, due again after the policy's wait with up to a fifth of jitter, or failed: then its endpoint is
  // disabled with a notice in its owner's mailbox. An attempt whose lease another has taken over is only logged.
  absl::Status Finish(const Attempt& attempt, const Outcome& outcome);

 private:
  postgres::Session session_;
  const RetryPolicy policy_;
};

}  // namespace flotilla::notify
