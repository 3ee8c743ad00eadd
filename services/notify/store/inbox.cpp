#include "notify/store/inbox.h"

#include <iterator>
#include <memory>

namespace flotilla::notify {
namespace {

auto Reader(const postgres::Options& options) {
  return [options](int) {
    return [store = std::make_shared<NotificationStore>(options)](const std::vector<Inbox::Query>& queries) {
      auto lists = store->Read(queries);
      using Results = std::vector<absl::StatusOr<std::vector<Notification>>>;
      if (!lists.ok()) return Results(queries.size(), lists.status());
      return Results(std::make_move_iterator(lists->begin()), std::make_move_iterator(lists->end()));
    };
  };
}

}  // namespace

Inbox::Inbox(const postgres::Options& options)
    : tails_({.name = "tail"}, Reader(options)),
      lists_({.name = "list", .max_batch = 16, .max_queue = 1024}, Reader(options)) {}

}  // namespace flotilla::notify
