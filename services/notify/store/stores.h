// The stores behind the calls of users and operators that are too seldom for a batch.
#pragma once

#include "batch/offload.h"
#include "notify/store/dead_letter_store.h"
#include "notify/store/endpoint_store.h"
#include "notify/store/mailbox_store.h"

namespace flotilla::notify {

struct Stores {
  explicit Stores(const postgres::Options& options) : mailboxes(options), dead_letters(options), endpoints(options) {}
  MailboxStore mailboxes;
  DeadLetterStore dead_letters;
  EndpointStore endpoints;
};

// On two threads, so that one slow list does not hold up everybody.
class StoreCalls : public batch::Offload<Stores> {
 public:
  explicit StoreCalls(const postgres::Options& options)
      : Offload({.name = "stores", .workers = 2, .max_queue = 4096},
                [options] { return std::make_shared<Stores>(options); }) {}
};

}  // namespace flotilla::notify
