#include "fleet/load.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "fleet/provider.h"
#include "testing/eventually.h"

namespace flotilla::fleet {

using order::v1::ORDER_STATE_CANCELLED;
using order::v1::ORDER_STATE_PAID;

void Load::Prepare(Fleet& fleet, int buyers) {
  for (int s = 0; s < 10; ++s) fleet.PutSku("load" + std::to_string(s), 10, 1000000);
  for (int i = 0; i < buyers; ++i) fleet.OpenWallet("load-user" + std::to_string(i), i % 3 == 2 ? 5 : 1000000);
}

Load::Load(Fleet& fleet, std::vector<std::string> instances, int buyers, int timeout_ms, Flows flows)
    : fleet_(fleet), instances_(std::move(instances)), flows_(flows), number_([] {
        static int loads = 0;
        return ++loads;
      }()) {
  for (int i = 0; i < buyers; ++i) threads_.emplace_back([this, i, timeout_ms] { Buy(i, timeout_ms); });
}

void Load::Stop() {
  stop_ = true;
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

testing::AssertionResult Load::Progresses(int more) const {
  const int before = ended();
  if (Eventually([&] { return ended() >= before + more; }, absl::Seconds(90))) return testing::AssertionSuccess();
  return testing::AssertionFailure() << ended() - before << " of " << more << " orders; calls failed:" << failures();
}

std::string Load::failures() const {
  const std::lock_guard lock(mutex_);
  std::string lines;
  for (const auto& [reason, count] : reasons_) absl::StrAppend(&lines, "\n", count, " times ", reason);
  return lines;
}

void Load::Buy(int buyer, int timeout_ms) {
  auto stub = fleet_.orders(instances_[buyer % instances_.size()]);
  const std::string user = "load-user" + std::to_string(buyer);
  for (int n = 0; !stop_; ++n) {
    const std::string key = absl::StrCat("load", number_, "-", n);
    const std::string sku = "load" + std::to_string((buyer + n) % 10);
    const auto method =
        flows_ == Flows::kAll && n % 5 == 3 ? order::v1::PAYMENT_METHOD_EXTERNAL : order::v1::PAYMENT_METHOD_WALLET;
    // A client that gets no answer asks again with the same key, as the API documents.
    while (!stop_) {
      const Result result = CreateOrder(*stub, user, key, {{sku, 1}}, timeout_ms, method);
      if (result.status.ok()) {
        if (result.order.state() == ORDER_STATE_PAID) ++paid_;
        if (result.order.state() == ORDER_STATE_CANCELLED) ++cancelled_;
        Follow(*stub, user, n, result.order);
        break;
      }
      ++failed_;
      {
        const std::lock_guard lock(mutex_);
        ++reasons_[absl::StrCat("code ", result.status.error_code(), " ", result.reason)];
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
}

void Load::Follow(order::v1::OrderService::Stub& stub, const std::string& user, int n, const order::v1::Order& order) {
  const bool paid = order.state() == ORDER_STATE_PAID;
  if (paid && n % 5 == 4) CancelOrder(stub, user, order.order_id());
  if (flows_ == Flows::kWallet) return;
  if (paid && n % 5 == 1) RefundOrder(stub, user, order.order_id(), {.refund_id = "part", .amount = 3});
  if (paid && n % 5 == 2) RefundOrder(stub, user, order.order_id(), {.refund_id = "all", .return_stock = true});
  if (order.payment_reference().empty() || n % 3 == 0) return;  // nobody pays every third one
  Provider provider(fleet_.payments(), kLoadProviderSecret);
  provider.Send({.event_id = "evt-" + order.payment_reference(),
                 .reference = order.payment_reference(),
                 .succeeded = n % 3 == 1,
                 .amount = order.total().minor_units()});
}

}  // namespace flotilla::fleet
