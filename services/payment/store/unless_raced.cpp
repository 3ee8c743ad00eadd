#include "payment/store/unless_raced.h"

namespace flotilla::payment {
namespace {

// `transact` runs a transaction and says whether it raced.
absl::Status Again(const std::function<absl::Status(bool& raced)>& transact) {
  for (int attempt = 0; attempt < 5; ++attempt) {
    bool raced = false;
    const absl::Status status = transact(raced);
    if (!raced) return status;
  }
  return absl::AbortedError("the same ids are being written by other instances");
}

}  // namespace

absl::Status TransactUnlessRaced(postgres::Session& session,
                                 const std::function<absl::Status(postgres::Transaction&, bool& raced)>& body) {
  return Again([&](bool& raced) {
    return session.Transact([&](postgres::Transaction& transaction) {
      raced = false;
      const absl::Status done = body(transaction, raced);
      return raced ? absl::AbortedError("raced") : done;
    });
  });
}

absl::Status TransactHopefullyUnlessRaced(
    postgres::Session& session,
    const std::function<absl::Status(postgres::Transaction&, postgres::Care, bool& raced)>& body) {
  return Again([&](bool& raced) {
    return session.TransactHopefully([&](postgres::Transaction& transaction, postgres::Care care) {
      raced = false;
      const absl::Status done = body(transaction, care, raced);
      return raced ? absl::AbortedError("raced") : done;
    });
  });
}

}  // namespace flotilla::payment
