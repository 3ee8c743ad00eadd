// What events come to, written within a transaction.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "notify/domain/notification.h"
#include "postgres/session.h"

namespace flotilla::notify {

// The channel on which Apply tells, with the commit, whose lists have grown: the origin where there is one (see
// origin.h), then "<user>/<last sequence>", by spaces.
inline constexpr char kChannel[] = "notification";

struct Applied {
  std::vector<Notification> stored;  // as they stand in their users' lists, each user's in order
  std::int64_t dead_letters = 0;
  bool deliveries = false;  // there may be something to send to webhooks
};

// Stores what comes from events that were not handled before, and the events as handled: notifications in their users'
// words, with a delivery for each webhook that wants them, and dead letters. Ids and texts are free of NUL and valid
// UTF-8; users are names (see validation.h). What the batch repeats counts once.
Applied Apply(postgres::Transaction& transaction, postgres::Care care, const Batch& batch,
              const std::string& origin = "");

}  // namespace flotilla::notify
