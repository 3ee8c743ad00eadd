// The handlers of flotilla.payment.v1.LedgerService.
#pragma once

#include "absl/status/statusor.h"
#include "async/task.h"
#include "flotilla/payment/v1/ledger_service.grpc.pb.h"
#include "payment/store/journal.h"
#include "rpc/server.h"

namespace flotilla::payment {

class LedgerApi {
 public:
  // Registers with `server`, whose calls this object and `journal` must outlive.
  LedgerApi(rpc::Server& server, Journal& journal);

 private:
  template <class T>
  using Reply = async::Task<absl::StatusOr<T>>;

  Reply<v1::ListTransfersResponse> ListTransfers(const v1::ListTransfersRequest& request);
  Reply<v1::GetStatementResponse> GetStatement(const v1::GetStatementRequest& request);
  Reply<v1::GetTrialBalanceResponse> GetTrialBalance(const v1::GetTrialBalanceRequest& request);
  Reply<v1::VerifyJournalResponse> VerifyJournal(const v1::VerifyJournalRequest& request);

  Journal& journal_;
};

}  // namespace flotilla::payment
