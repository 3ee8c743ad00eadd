// The service's own rights, where another role owns the tables.
#pragma once

#include "absl/status/status.h"
#include "postgres/session.h"

namespace flotilla::payment {

// As the tables' owner: gives the role that `service` connects as what the service needs, and no more: journal rows can
// be read and added, never changed or deleted, nor can the triggers that say so be switched off. Does nothing where
// both are one role. Idempotent.
absl::Status GrantRights(const postgres::Options& owner, const postgres::Options& service);

}  // namespace flotilla::payment
