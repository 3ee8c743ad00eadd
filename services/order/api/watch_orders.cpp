#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "errors/errors.h"
#include "order/api/order_api.h"
#include "order/api/parse.h"
#include "order/codec/codec.h"
#include "validation/validation.h"

namespace flotilla::order {
namespace {

constexpr std::size_t kMaxWatched = 100;
// How soon a stream notices that its client has gone, and a change of which the word was lost.
constexpr absl::Duration kTurn = absl::Seconds(2);

// Problems that the client has not been told yet.
constexpr std::size_t kMaxProblems = 100;

// What one stream watches. Its two coroutines run on one loop.
struct Watch {
  std::string user_id;
  std::unique_ptr<OrderHub::Ticket> ticket;
  std::map<std::string, std::int64_t> sent;  // by order id: the version sent last, 0 before the first
  std::set<std::string> added;               // to be read
  std::vector<v1::WatchProblem> problems;    // to be sent
  bool reading = true;                       // the client may still send
};

v1::WatchProblem Problem(const std::string& order_id, const absl::Status& status) {
  v1::WatchProblem problem;
  problem.set_order_id(order_id);
  problem.set_reason(errors::Reason(status));
  problem.set_message(std::string(status.message()));
  return problem;
}

absl::Status Add(Watch& watch, const std::string& order_id) {
  const absl::StatusOr<OrderKey> key = ParseKey(watch.user_id, order_id);
  if (!key.ok()) return key.status();
  if (watch.sent.contains(key->order_id)) return absl::OkStatus();
  if (watch.sent.size() >= kMaxWatched) {
    return errors::Make(absl::StatusCode::kResourceExhausted, "TOO_MANY_WATCHED",
                        "a stream watches at most 100 orders");
  }
  watch.ticket->Follow(key->order_id);
  watch.sent.emplace(key->order_id, 0);
  watch.added.insert(key->order_id);
  return absl::OkStatus();
}

void Remove(Watch& watch, const std::string& order_id) {
  watch.ticket->Unfollow(order_id);
  watch.sent.erase(order_id);
  watch.added.erase(order_id);
}

// Only what gives the stream something to do wakes it: a client that repeats itself costs nothing more.
async::Task<void> ReadRequests(Watch& watch, rpc::ServerReader<v1::WatchOrdersRequest>& reader) {
  v1::WatchOrdersRequest request;
  while (watch.problems.size() < kMaxProblems) {
    const bool more = co_await reader.Read(&request);
    if (!more) break;
    if (request.has_remove_order_id()) {
      Remove(watch, absl::AsciiStrToLower(request.remove_order_id()));
    } else {
      const absl::Status status = Add(watch, request.add_order_id());
      if (!status.ok()) watch.problems.push_back(Problem(request.add_order_id(), status));
    }
    if (!watch.added.empty() || !watch.problems.empty()) watch.ticket->Interrupt();
  }
  watch.reading = false;
  watch.ticket->Interrupt();
}

// False where the client has gone.
async::Task<bool> WriteNews(Watch& watch, std::vector<Order> news, rpc::ServerWriter<v1::WatchOrdersResponse>& writer) {
  v1::WatchOrdersResponse response;
  for (v1::WatchProblem& problem : std::exchange(watch.problems, {})) {
    *response.mutable_problem() = std::move(problem);
    const bool written = co_await writer.Write(response);
    if (!written) co_return false;
  }
  for (const Order& order : news) {
    const auto sent = watch.sent.find(order.order_id);
    if (sent == watch.sent.end() || sent->second >= order.version) continue;
    sent->second = order.version;
    *response.mutable_order() = ToProto(order);
    const bool written = co_await writer.Write(response);
    if (!written) co_return false;
  }
  co_return true;
}

}  // namespace

async::Task<absl::Status> OrderApi::WatchOrders(rpc::Call& call, rpc::ServerReader<v1::WatchOrdersRequest>& reader,
                                                rpc::ServerWriter<v1::WatchOrdersResponse>& writer) {
  if (auto status = validation::CheckUser(call.user_id); !status.ok()) {
    call.context->TryCancel();
    co_return status;
  }
  Watch watch;
  watch.user_id = call.user_id;
  watch.ticket = hub_.Register();
  async::Start(ReadRequests(watch, reader));
  std::vector<Order> news;
  async::SteadyTime next_round = async::SteadyNow();  // of all, whatever came meanwhile
  bool written = true;
  while (written && watch.reading && !call.cancelled()) {
    const bool all = async::SteadyNow() >= next_round;
    std::set<std::string> looked_for = watch.ticket->TakeNudged();  // another instance has changed them
    looked_for.merge(watch.added);
    watch.added.clear();
    std::vector<std::string> ids;
    for (const auto& [id, version] : watch.sent) {
      if (all || looked_for.contains(id)) ids.push_back(id);
    }
    std::vector<async::Task<absl::StatusOr<Order>>> reads;
    reads.reserve(ids.size());
    for (const std::string& id : ids) reads.push_back(flow_.Read({watch.user_id, id}));
    std::vector<absl::StatusOr<Order>> orders = co_await async::WhenAll(std::move(reads));
    if (all) next_round = async::After(kTurn);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (orders[i].ok()) {
        news.push_back(*std::move(orders[i]));
      } else if (absl::IsNotFound(orders[i].status())) {
        watch.problems.push_back(Problem(ids[i], orders[i].status()));
        Remove(watch, ids[i]);
      }  // else the database may be back at the next turn
    }
    written = co_await WriteNews(watch, std::exchange(news, {}), writer);
    if (!written) break;
    news = co_await watch.ticket->Wait(next_round);
  }
  const bool closed = !watch.reading && watch.problems.size() < kMaxProblems;
  // The stream must not end under a read that is under way: where the client has not closed its side, this closes it.
  if (watch.reading) call.context->TryCancel();
  while (watch.reading) co_await watch.ticket->Wait(async::After(kTurn));
  if (closed) co_return absl::OkStatus();
  co_return absl::UnavailableError("the stream was cancelled or the server is stopping");
}

}  // namespace flotilla::order
