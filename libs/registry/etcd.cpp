#include "registry/etcd.h"

#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "errors/errors.h"

namespace flotilla::registry {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(2);
constexpr absl::Duration kRevokeTimeout = absl::Seconds(1);

std::shared_ptr<grpc::Channel> Connect(const std::string& endpoint) {
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);  // also how long an attempt to connect may take
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  // A watch on a dead connection would wait for ever. etcd 3.4 refuses pings more frequent than every 5 s.
  args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 3000);
  args.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  return grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), args);
}

// The key after all keys with this prefix, https://etcd.io/docs/v3.4/learning/api/#key-ranges
std::string RangeEnd(std::string prefix) {
  prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

}  // namespace

Etcd::Etcd(const std::string& endpoints) {
  for (const absl::string_view endpoint : absl::StrSplit(endpoints, ',', absl::SkipEmpty())) {
    channels_.push_back(Connect(std::string(endpoint)));
  }
}

absl::Status Etcd::Call(absl::Duration timeout,
                        const std::function<grpc::Status(grpc::ClientContext&, std::shared_ptr<grpc::Channel>)>& call) {
  if (channels_.empty()) return absl::InvalidArgumentError("no etcd endpoint is given");
  grpc::ClientContext context;
  context.AddMetadata("hasleader", "true");  // a member cut off from the others refuses, rather than stay silent
  if (timeout < absl::InfiniteDuration()) {
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    // gRPC works on a connection while a call waits for it; calls that fail at once would never get one.
    context.set_wait_for_ready(true);
  }
  {
    std::lock_guard lock(mutex_);
    if (interrupted_) return absl::CancelledError("interrupted");
    running_ = &context;
  }
  const grpc::Status status = call(context, channels_[next_ % channels_.size()]);
  {
    std::lock_guard lock(mutex_);
    running_ = nullptr;
    if (!status.ok() && !interrupted_) ++next_;
  }
  return errors::FromGrpc(status);
}

void Etcd::Interrupt() {
  std::lock_guard lock(mutex_);
  interrupted_ = true;
  if (running_ != nullptr) running_->TryCancel();
}

void Etcd::Resume() {
  std::lock_guard lock(mutex_);
  interrupted_ = false;
}

absl::StatusOr<std::int64_t> Etcd::Grant(absl::Duration ttl) {
  etcdserverpb::LeaseGrantRequest request;
  request.set_ttl(absl::ToInt64Seconds(ttl));
  etcdserverpb::LeaseGrantResponse response;
  const absl::Status status = Call(kTimeout, [&](auto& context, const auto& channel) {
    return etcdserverpb::Lease::NewStub(channel)->LeaseGrant(&context, request, &response);
  });
  if (!status.ok()) return status;
  return response.id();
}

absl::Status Etcd::Put(const std::string& key, const std::string& value, std::int64_t lease) {
  etcdserverpb::PutRequest request;
  request.set_key(key);
  request.set_value(value);
  request.set_lease(lease);
  return Call(kTimeout, [&](auto& context, const auto& channel) {
    etcdserverpb::PutResponse response;
    return etcdserverpb::KV::NewStub(channel)->Put(&context, request, &response);
  });
}

absl::StatusOr<absl::Duration> Etcd::KeepAlive(std::int64_t lease) {
  etcdserverpb::LeaseKeepAliveRequest request;
  request.set_id(lease);
  etcdserverpb::LeaseKeepAliveResponse response;
  const absl::Status status = Call(kTimeout, [&](auto& context, const auto& channel) {
    auto stream = etcdserverpb::Lease::NewStub(channel)->LeaseKeepAlive(&context);
    const bool answered = stream->Write(request) && stream->Read(&response);
    stream->WritesDone();
    if (answered) context.TryCancel();  // etcd holds the stream open; we want this one answer
    const grpc::Status end = stream->Finish();
    return answered ? grpc::Status::OK : end;
  });
  if (!status.ok()) return status;
  return absl::Seconds(response.ttl());
}

absl::Status Etcd::Revoke(std::int64_t lease) {
  etcdserverpb::LeaseRevokeRequest request;
  request.set_id(lease);
  absl::Status status = absl::InvalidArgumentError("no etcd endpoint is given");
  for (std::size_t i = 0; i < channels_.size(); ++i) {
    status =
        Call(kRevokeTimeout / static_cast<std::int64_t>(channels_.size()), [&](auto& context, const auto& channel) {
          etcdserverpb::LeaseRevokeResponse response;
          return etcdserverpb::Lease::NewStub(channel)->LeaseRevoke(&context, request, &response);
        });
    if (status.ok() || absl::IsNotFound(status)) break;
  }
  return status;
}

absl::StatusOr<etcdserverpb::RangeResponse> Etcd::List(const std::string& prefix) {
  etcdserverpb::RangeRequest request;
  request.set_key(prefix);
  request.set_range_end(RangeEnd(prefix));
  etcdserverpb::RangeResponse response;
  const absl::Status status = Call(kTimeout, [&](auto& context, const auto& channel) {
    return etcdserverpb::KV::NewStub(channel)->Range(&context, request, &response);
  });
  if (!status.ok()) return status;
  return response;
}

absl::Status Etcd::Watch(const std::string& prefix, std::int64_t revision,
                         const std::function<bool(const etcdserverpb::WatchResponse&)>& handle) {
  etcdserverpb::WatchRequest request;
  request.mutable_create_request()->set_key(prefix);
  request.mutable_create_request()->set_range_end(RangeEnd(prefix));
  request.mutable_create_request()->set_start_revision(revision);
  return Call(absl::InfiniteDuration(), [&](auto& context, const auto& channel) {
    auto stream = etcdserverpb::Watch::NewStub(channel)->Watch(&context);
    etcdserverpb::WatchResponse response;
    bool more = stream->Write(request);
    while (more && stream->Read(&response)) more = handle(response);
    context.TryCancel();
    return stream->Finish();
  });
}

}  // namespace flotilla::registry
