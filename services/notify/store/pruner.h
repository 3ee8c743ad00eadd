// Deletes what is no longer needed, a small batch a transaction. Blocking and single-threaded. Errors: see
// Session::Transact.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "postgres/session.h"

namespace flotilla::notify {

class Pruner {
 public:
  explicit Pruner(postgres::Options options) : session_(std::move(options)) {}

  // How far a pass has come, and what it deleted.
  struct Pass {
    std::int64_t next = 0;  // a page of the table; a delivery's number
    std::int64_t deleted = 0;
    bool end = false;
  };
  // Events that were handled longer ago than `age`. Goes through the table by its pages: an index by time would cost
  // every event more than that.
  absl::Status PruneHandled(absl::Duration age, Pass& pass);
  // Notifications of events that are older than `age`, read or not; likewise. What webhooks' deliveries refer to stays
  // until they go. Users' numbers go on where they were.
  absl::Status PruneNotifications(absl::Duration age, Pass& pass);
  // Deliveries, and with them their attempts, that were made longer ago and are not under way; those that wait for a
  // disabled endpoint too.
  absl::Status PruneDeliveries(absl::Duration age, Pass& pass);

 private:
  absl::Status PrunePages(const postgres::Statement& count, const postgres::Statement& prune, absl::Duration age,
                          Pass& pass);

  postgres::Session session_;
};

}  // namespace flotilla::notify
