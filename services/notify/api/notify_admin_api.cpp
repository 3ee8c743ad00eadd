#include "notify/api/notify_admin_api.h"

#include <algorithm>
#include <memory>

#include "notify/api/convert.h"
#include "notify/workflow/dead_letters.h"

namespace flotilla::notify {

NotifyAdminApi::NotifyAdminApi(rpc::Server& server, StoreCalls& stores) : stores_(stores) {
  using Service = v1::NotifyAdminService::AsyncService;
  auto service = std::make_shared<Service>();
  server.AddService(service);
  const auto add = [&](auto requester, const char* method, auto handler) {
    server.Unary(service.get(), requester, method,
                 [this, handler](rpc::Call& call, const auto& request) { return (this->*handler)(call, request); });
  };
  add(&Service::RequestListDeadLetters, "flotilla.notify.v1.NotifyAdminService/ListDeadLetters",
      &NotifyAdminApi::ListDeadLetters);
  add(&Service::RequestRedeliverDeadLetter, "flotilla.notify.v1.NotifyAdminService/RedeliverDeadLetter",
      &NotifyAdminApi::RedeliverDeadLetter);
  add(&Service::RequestDiscardDeadLetter, "flotilla.notify.v1.NotifyAdminService/DiscardDeadLetter",
      &NotifyAdminApi::DiscardDeadLetter);
}

async::Task<absl::StatusOr<v1::ListDeadLettersResponse>> NotifyAdminApi::ListDeadLetters(
    rpc::Call&, const v1::ListDeadLettersRequest& request) {
  absl::StatusOr<DeadLetterStore::Query> query = Parse(request);
  if (!query.ok()) co_return query.status();
  const auto page = static_cast<std::size_t>(query->limit);
  ++query->limit;  // one more tells whether there is a next page
  const absl::StatusOr<std::vector<DeadLetter>> letters = co_await stores_.Run<std::vector<DeadLetter>>(
      [&query](Stores& stores) { return stores.dead_letters.List(*query); });
  if (!letters.ok()) co_return letters.status();
  v1::ListDeadLettersResponse response;
  const std::size_t count = std::min(letters->size(), page);
  for (std::size_t i = 0; i < count; ++i) Fill((*letters)[i], response.add_dead_letters());
  if (letters->size() > count) response.set_next_page_token(PageToken((*letters)[count - 1]));
  co_return response;
}

async::Task<absl::StatusOr<v1::RedeliverDeadLetterResponse>> NotifyAdminApi::RedeliverDeadLetter(
    rpc::Call&, const v1::RedeliverDeadLetterRequest& request) {
  if (auto status = CheckEventId(request.event_id()); !status.ok()) co_return status;
  co_return co_await stores_.Run<v1::RedeliverDeadLetterResponse>(
      [&request](Stores& stores) -> absl::StatusOr<v1::RedeliverDeadLetterResponse> {
        if (auto status = Redeliver(stores.dead_letters, request.event_id()); !status.ok()) return status;
        return v1::RedeliverDeadLetterResponse();
      });
}

async::Task<absl::StatusOr<v1::DiscardDeadLetterResponse>> NotifyAdminApi::DiscardDeadLetter(
    rpc::Call&, const v1::DiscardDeadLetterRequest& request) {
  if (auto status = CheckEventId(request.event_id()); !status.ok()) co_return status;
  co_return co_await stores_.Run<v1::DiscardDeadLetterResponse>(
      [&request](Stores& stores) -> absl::StatusOr<v1::DiscardDeadLetterResponse> {
        if (auto status = Discard(stores.dead_letters, request.event_id()); !status.ok()) return status;
        return v1::DiscardDeadLetterResponse();
      });
}

}  // namespace flotilla::notify
