// flotilla.order.v1.SagaAdminService: proto <-> saga::Admin, validation, status.
#pragma once

#include "async/task.h"
#include "flotilla/order/v1/saga_admin_service.grpc.pb.h"
#include "rpc/server.h"
#include "saga/admin.h"

namespace flotilla::order {

class SagaAdminApi {
 public:
  // Adds the service to `server`.
  SagaAdminApi(rpc::Server& server, const postgres::Options& postgres);

 private:
  template <class Response>
  using Reply = async::Task<absl::StatusOr<Response>>;

  Reply<v1::ListSagasResponse> ListSagas(rpc::Call& call, const v1::ListSagasRequest& request);
  Reply<v1::GetSagaResponse> GetSaga(rpc::Call& call, const v1::GetSagaRequest& request);
  Reply<v1::RetrySagaResponse> RetrySaga(rpc::Call& call, const v1::RetrySagaRequest& request);
  Reply<v1::RetrySagasResponse> RetrySagas(rpc::Call& call, const v1::RetrySagasRequest& request);
  Reply<v1::CompensateSagaResponse> CompensateSaga(rpc::Call& call, const v1::CompensateSagaRequest& request);
  Reply<v1::ResolveSagaResponse> ResolveSaga(rpc::Call& call, const v1::ResolveSagaRequest& request);
  Reply<v1::ListOperatorActsResponse> ListOperatorActs(rpc::Call& call, const v1::ListOperatorActsRequest& request);

  template <class Request>
  async::Task<absl::Status> Do(saga::Act act, rpc::Call& call, const Request& request);

  saga::Admin admin_;
};

}  // namespace flotilla::order
