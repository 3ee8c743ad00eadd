#include "notify/store/inbox.h"

#include <iterator>
#include <memory>

namespace flotilla::notify {

Inbox::Inbox(const postgres::Options& options)
    : tails_({.name = "tail"}, [options](int) {
        return [store = std::make_shared<NotificationStore>(options)](
                   const std::vector<NotificationStore::Query>& queries) {
          auto lists = store->Read(queries);
          using Results = std::vector<absl::StatusOr<std::vector<Notification>>>;
          if (!lists.ok()) return Results(queries.size(), lists.status());
          return Results(std::make_move_iterator(lists->begin()), std::make_move_iterator(lists->end()));
        };
      }) {}

}  // namespace flotilla::notify
