#include "notify/store/inbox.h"

#include <memory>

#include "batch/spread.h"

namespace flotilla::notify {

Inbox::Inbox(const postgres::Options& options)
    : tails_({.name = "tail"}, [options](int) {
        return [store = std::make_shared<NotificationStore>(options)](
                   const std::vector<NotificationStore::Query>& queries) {
          return batch::Spread(store->Read(queries), queries.size());
        };
      }) {}

}  // namespace flotilla::notify
