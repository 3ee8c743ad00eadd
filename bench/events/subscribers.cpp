#include "subscribers.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/grpcpp.h"

namespace flotilla::bench {

using notify::v1::NotifyService;

struct Subscribers::Stream {
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientAsyncReader<notify::v1::SubscribeResponse>> reader;
  notify::v1::SubscribeResponse response;
  bool started = false, heard = false;
};

Subscribers::Subscribers(const std::string& address, int count, int channels) {
  std::vector<std::unique_ptr<NotifyService::Stub>> stubs;
  for (int i = 0; i < channels; ++i) {
    grpc::ChannelArguments own;  // equal ones would share a connection
    own.SetInt("flotilla.channel", i);
    stubs.push_back(
        NotifyService::NewStub(grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), own)));
  }
  for (int i = 0; i < count; ++i) {
    Stream& stream = *streams_.emplace_back(std::make_unique<Stream>());
    stream.context.AddMetadata("flotilla-user", absl::StrCat("user-", i));
    stream.reader =
        stubs[static_cast<std::size_t>(i % channels)]->AsyncSubscribe(&stream.context, {}, &queue_, &stream);
  }
  thread_ = std::thread([this] { Run(); });
}

Subscribers::~Subscribers() {
  for (auto& stream : streams_) stream->context.TryCancel();
  queue_.Shutdown();
  thread_.join();
}

void Subscribers::Run() {
  void* tag = nullptr;
  for (bool ok = false; queue_.Next(&tag, &ok);) {
    Stream& stream = *static_cast<Stream*>(tag);
    if (!ok) {  // it has ended, and counts no more
      if (stream.heard) --open_;
      stream.heard = false;
      continue;
    }
    if (stream.started) Took(stream);
    stream.started = true;
    stream.reader->Read(&stream.response, &stream);
  }
}

void Subscribers::Took(Stream& stream) {
  if (!stream.heard) ++open_;
  stream.heard = true;
  if (!stream.response.has_notification()) return;
  ++received_;
  const std::lock_guard lock(mutex_);
  arrivals_.push_back({.event_id = stream.response.notification().event_id(), .at = absl::Now()});
}

std::vector<Subscribers::Arrival> Subscribers::TakeArrivals() {
  const std::lock_guard lock(mutex_);
  return std::exchange(arrivals_, {});
}

}  // namespace flotilla::bench
