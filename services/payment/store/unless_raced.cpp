#include "payment/store/unless_raced.h"

namespace flotilla::payment {

absl::Status TransactUnlessRaced(postgres::Session& session,
                                 const std::function<absl::Status(postgres::Transaction&, bool& raced)>& body) {
  for (int attempt = 0; attempt < 5; ++attempt) {
    bool raced = false;
    const absl::Status status = session.Transact([&](postgres::Transaction& transaction) {
      raced = false;
      const absl::Status done = body(transaction, raced);
      return raced ? absl::AbortedError("raced") : done;
    });
    if (!raced) return status;
  }
  return absl::AbortedError("the same ids are being written by other instances");
}

}  // namespace flotilla::payment
