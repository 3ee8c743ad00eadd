#include "rpc/client.h"

#include <algorithm>
#include <random>

#include "errors/errors.h"
#include "failpoint/failpoint.h"
#include "telemetry/metrics.h"

namespace flotilla::rpc {
namespace {

constexpr int kFailuresToOpen = 5;
constexpr absl::Duration kFirstPause = absl::Milliseconds(200);
constexpr absl::Duration kLongestPause = absl::Seconds(1);
constexpr absl::Duration kLongestProbe = absl::Seconds(5);  // then another one may try, whatever became of it
constexpr double kMaxRetryTokens = 10;
constexpr double kTokensPerSuccess = 0.1;

std::minstd_rand& Random() {
  thread_local std::minstd_rand random(std::random_device{}());
  return random;
}

std::shared_ptr<Endpoint> Connect(const std::string& address, const Security& security) {
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // an instance that left must not live on in a global pool
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);  // also how long an attempt to connect may take
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 3000);
  args.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  args.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  args.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // ours follow the budget
  args.SetMaxReceiveMessageSize(16 << 20);
  if (!security.server_name.empty()) args.SetSslTargetNameOverride(security.server_name);
  auto endpoint = std::make_shared<Endpoint>();
  endpoint->address = address;
  endpoint->channel = grpc::CreateCustomChannel(
      address, security.credentials != nullptr ? security.credentials : grpc::InsecureChannelCredentials(), args);
  endpoint->channel->GetState(true);  // connects now rather than at the first call
  return endpoint;
}

}  // namespace

bool Breaker::Allow(async::SteadyTime now) {
  std::lock_guard lock(mutex_);
  if (failures_ < kFailuresToOpen) return true;
  if (now < closed_until_ || now < probe_until_) return false;
  probe_until_ = async::After(kLongestProbe, now);
  return true;
}

void Breaker::Report(bool available, async::SteadyTime now) {
  std::lock_guard lock(mutex_);
  probe_until_ = {};
  if (available) {
    failures_ = 0;
    pause_ = absl::ZeroDuration();
  } else if (++failures_ >= kFailuresToOpen && now >= closed_until_) {
    pause_ = pause_ == absl::ZeroDuration() ? kFirstPause : std::min(2 * pause_, kLongestPause);
    closed_until_ = async::After(pause_, now);
  }
}

struct ChannelPool::State {
  State(const std::string& service, Security how)
      : security(std::move(how)),
        sent(telemetry::Counter("flotilla_rpc_retries_total", "Calls to other services sent again, or not",
                                {{"service", service}, {"outcome", "sent"}})),
        over_budget(telemetry::Counter("flotilla_rpc_retries_total", "Calls to other services sent again, or not",
                                       {{"service", service}, {"outcome", "over_budget"}})),
        refused(telemetry::Counter("flotilla_rpc_breaker_refusals_total",
                                   "Times that every instance's breaker was open when a call looked for one",
                                   {{"service", service}})) {}
  const Security security;
  prometheus::Counter &sent, &over_budget, &refused;
  mutable std::mutex mutex;
  std::vector<std::shared_ptr<Endpoint>> endpoints;
  // Left the registry, but calls may still run on them. The last reference to a channel must not die inside a
  // completion (gRPC 1.51 deadlocks), so they are dropped here, on the source's thread, once nobody else holds them.
  std::vector<std::shared_ptr<Endpoint>> retired;
  double retry_tokens = kMaxRetryTokens;

  void Update(const std::vector<std::string>& addresses) {
    std::vector<std::shared_ptr<Endpoint>> dead;  // destroyed outside the lock
    std::lock_guard lock(mutex);
    std::vector<std::shared_ptr<Endpoint>> next;
    for (const auto& address : addresses) {
      auto known = std::find_if(endpoints.begin(), endpoints.end(), [&](auto& e) { return e->address == address; });
      next.push_back(known != endpoints.end() ? *known : Connect(address, security));
    }
    for (auto& endpoint : endpoints) {
      if (std::find(next.begin(), next.end(), endpoint) == next.end()) retired.push_back(endpoint);
    }
    endpoints.clear();
    auto unused = std::partition(retired.begin(), retired.end(), [](auto& e) { return e.use_count() > 1; });
    dead.assign(unused, retired.end());
    retired.erase(unused, retired.end());
    endpoints = std::move(next);
  }
};

ChannelPool::ChannelPool(std::string service, std::shared_ptr<EndpointSource> source, Security security)
    : service_(std::move(service)),
      state_(std::make_shared<State>(service_, std::move(security))),
      source_(std::move(source)) {
  FLOTILLA_DECLARE_FAILPOINT("rpc." + service_);
  source_->Subscribe([state = state_](const std::vector<std::string>& addresses) { state->Update(addresses); });
}

ChannelPool::~ChannelPool() = default;

std::shared_ptr<Endpoint> ChannelPool::Pick(const Endpoint* avoid) {
  const async::SteadyTime now = async::SteadyNow();
  std::lock_guard lock(state_->mutex);
  const auto& all = state_->endpoints;
  if (all.empty()) return nullptr;
  const std::size_t first = Random()() % all.size();
  std::size_t second = Random()() % all.size();
  if (second == first) second = (second + 1) % all.size();
  auto load = [&](std::size_t i) {
    return all[i]->in_flight.load(std::memory_order_relaxed) + (all[i].get() == avoid ? 1000000 : 0);
  };
  const std::size_t better = load(first) <= load(second) ? first : second;
  if (all[better]->breaker.Allow(now)) return all[better];
  for (const auto& endpoint : all) {
    if (endpoint != all[better] && endpoint->breaker.Allow(now)) return endpoint;
  }
  state_->refused.Increment();
  return nullptr;
}

bool ChannelPool::empty() const {
  std::lock_guard lock(state_->mutex);
  return state_->endpoints.empty();
}

bool ChannelPool::TakeRetryToken() {
  std::lock_guard lock(state_->mutex);
  const bool allowed = state_->retry_tokens >= 1;
  (allowed ? state_->sent : state_->over_budget).Increment();
  if (allowed) state_->retry_tokens -= 1;
  return allowed;
}

void ChannelPool::Succeeded() {
  std::lock_guard lock(state_->mutex);
  state_->retry_tokens = std::min(kMaxRetryTokens, state_->retry_tokens + kTokensPerSuccess);
}

namespace internal {

void PrepareContext(grpc::ClientContext& context, absl::Time deadline, const CallOptions& options) {
  context.set_deadline(absl::ToChronoTime(deadline));
  if (!options.traceparent.empty()) context.AddMetadata("traceparent", options.traceparent);
  for (const auto& [key, value] : options.metadata) context.AddMetadata(key, value);
}

absl::Duration RetryDelay(int attempt) {
  const absl::Duration most = std::min(absl::Milliseconds(10) * (1 << std::min(attempt, 5)), absl::Milliseconds(200));
  return most * std::uniform_real_distribution<double>(0.5, 1.0)(Random());
}

absl::Status NoEndpoint(const std::string& service) {
  return errors::WithRetryDelay(errors::Make(absl::StatusCode::kUnavailable, "NO_INSTANCE",
                                             "no instance of " + service + " can be reached", {{"service", service}}),
                                kFirstPause);
}

}  // namespace internal

}  // namespace flotilla::rpc
