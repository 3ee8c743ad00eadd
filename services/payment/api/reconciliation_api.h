// The handlers of flotilla.payment.v1.ReconciliationService.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "async/task.h"
#include "flotilla/payment/v1/reconciliation_service.grpc.pb.h"
#include "payment/store/reconciliation.h"
#include "postgres/database_clock.h"
#include "rpc/server.h"

namespace flotilla::payment {

class ReconciliationApi {
 public:
  // Registers with `server`, whose calls this object, `reconciliation` and `clock` must outlive. A statement's period
  // must have ended `margin` ago. `wake` is called after a commit that wrote an event.
  ReconciliationApi(rpc::Server& server, Reconciliation& reconciliation, const postgres::DatabaseClock& clock,
                    absl::Duration margin, std::function<void()> wake);

 private:
  template <class T>
  using Reply = async::Task<absl::StatusOr<T>>;

  Reply<v1::ImportStatementResponse> ImportStatement(rpc::Call& call,
                                                     rpc::ServerReader<v1::ImportStatementRequest>& requests);
  Reply<v1::ListStatementsResponse> ListStatements(const v1::ListStatementsRequest& request);
  Reply<v1::WithdrawStatementResponse> WithdrawStatement(rpc::Call& call, const v1::WithdrawStatementRequest& request);
  Reply<v1::ListDifferencesResponse> ListDifferences(const v1::ListDifferencesRequest& request);
  Reply<v1::ResolveDifferenceResponse> ResolveDifference(std::string operator_id,
                                                         const v1::ResolveDifferenceRequest& request);

  Reconciliation& reconciliation_;
  const postgres::DatabaseClock& clock_;
  const absl::Duration margin_;
  const std::function<void()> wake_;
};

}  // namespace flotilla::payment
