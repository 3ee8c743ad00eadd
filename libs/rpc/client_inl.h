// The template of client.h.
#pragma once

#include "absl/time/clock.h"
#include "errors/errors.h"
#include "failpoint/failpoint.h"
#include "rpc/client.h"

namespace flotilla::rpc {

inline constexpr absl::Duration kSilence = absl::Seconds(1);

template <class Service>
template <class Request, class Response>
async::Task<absl::StatusOr<Response>> Client<Service>::Call(
    std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> (Stub::*prepare)(grpc::ClientContext*, const Request&,
                                                                                grpc::CompletionQueue*),
    Request request, CallOptions options) {
  const absl::Time deadline = std::min(options.deadline, absl::Now() + options.timeout);
  const tracing::Scope* const scope = co_await async::CurrentScope();
  tracing::Span span("call " + pool_->service(), tracing::Kind::kClient, scope);
  if (span.scope() != nullptr) options.traceparent = span.scope()->traceparent;
  absl::Status last = internal::NoEndpoint(pool_->service());
  std::shared_ptr<Endpoint> endpoint;
  for (int attempt = 0;;) {
    // Before Pick, which may give out a breaker's one probe: whoever got it must report.
    if (auto error = FLOTILLA_FAILPOINT("rpc." + pool_->service() + ".before"); !error.ok()) co_return error;
    // At the start the registry may not have answered yet; later "none" means that every breaker is open.
    while ((endpoint = pool_->Pick(endpoint.get())) == nullptr) {
      if (!pool_->empty() && (attempt > 0 || !options.wait_for_ready)) co_return last;
      if (absl::Now() + absl::Milliseconds(20) >= deadline) co_return last;
      co_await async::SleepFor(absl::Milliseconds(10));
    }
    std::call_once(endpoint->stub_once,
                   [&] { endpoint->stub = std::shared_ptr<Stub>(Service::NewStub(endpoint->channel)); });

    if (Loop::Current()->down()) co_return absl::UnavailableError("this process is shutting down");
    grpc::ClientContext context;
    internal::PrepareContext(context, deadline, options);
    Response response;
    grpc::Status status;
    Operation operation;
    const async::SteadyTime sent = async::SteadyNow();
    endpoint->in_flight.fetch_add(1, std::memory_order_relaxed);
    auto call = (static_cast<Stub*>(endpoint->stub.get())->*prepare)(&context, request, Loop::Current()->queue());
    call->StartCall();
    co_await operation.Run([&](void* tag) { call->Finish(&response, &status, tag); });
    if (auto error = FLOTILLA_FAILPOINT("rpc." + pool_->service() + ".after"); !error.ok()) {
      status = errors::ToGrpc(error);
    }
    endpoint->in_flight.fetch_sub(1, std::memory_order_relaxed);
    // Nobody here cancels a call, so CANCELLED is a server that ended while the call was on its way.
    const bool unavailable =
        status.error_code() == grpc::StatusCode::UNAVAILABLE || status.error_code() == grpc::StatusCode::CANCELLED;
    // An instance that keeps silent is as good as gone; a caller that was merely in a hurry tells nothing.
    const bool silent = status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED &&
                        async::SteadyNow() >= async::After(kSilence, sent);
    endpoint->breaker.Report(!unavailable && !silent, async::SteadyNow());

    if (status.ok()) {
      pool_->Succeeded();
      co_return response;
    }
    last = status.error_code() == grpc::StatusCode::CANCELLED
               ? absl::UnavailableError("the server ended while the call was on its way")
               : errors::FromGrpc(status);
    const absl::Duration delay = internal::RetryDelay(attempt++);
    if (!unavailable || !options.idempotent || absl::Now() + delay >= deadline || !pool_->TakeRetryToken())
      co_return last;
    co_await async::SleepFor(delay);
  }
}

}  // namespace flotilla::rpc
