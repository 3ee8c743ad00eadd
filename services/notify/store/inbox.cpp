#include "notify/store/inbox.h"

#include <memory>

#include "batch/spread.h"

namespace flotilla::notify {
namespace {

auto Reader(const postgres::Options& options) {
  return [options](int) {
    return [store = std::make_shared<NotificationStore>(options)](const std::vector<Inbox::Query>& queries) {
      return batch::Spread(store->Read(queries), queries.size());
    };
  };
}

}  // namespace

Inbox::Inbox(const postgres::Options& options)
    : tails_({.name = "tail"}, Reader(options)),
      lists_({.name = "list", .max_batch = 16, .max_queue = 1024}, Reader(options)) {}

}  // namespace flotilla::notify
