// Within this room: a transaction that looks again where another instance was faster.
#pragma once

#include <functional>

#include "absl/status/status.h"
#include "postgres/session.h"

namespace flotilla::payment {

// Where another instance made one of the rows after we had looked, the plan rested on a wrong picture: `body` says so
// by `raced`, everything is rolled back, and it looks again. ABORTED after a few times.
absl::Status TransactUnlessRaced(postgres::Session& session,
                                 const std::function<absl::Status(postgres::Transaction&, bool& raced)>& body);
// Each time it first runs hopefully, as Session::TransactHopefully does.
absl::Status TransactHopefullyUnlessRaced(
    postgres::Session& session,
    const std::function<absl::Status(postgres::Transaction&, postgres::Care, bool& raced)>& body);

}  // namespace flotilla::payment
