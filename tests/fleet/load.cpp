#include "fleet/load.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "testing/eventually.h"

namespace flotilla::fleet {

using order::v1::ORDER_STATE_CANCELLED;
using order::v1::ORDER_STATE_PAID;

void Load::Prepare(Fleet& fleet, int buyers) {
  for (int s = 0; s < 10; ++s) fleet.PutSku("load" + std::to_string(s), 10, 1000000);
  for (int i = 0; i < buyers; ++i) fleet.OpenWallet("load-user" + std::to_string(i), i % 3 == 2 ? 5 : 1000000);
}

Load::Load(Fleet& fleet, std::vector<std::string> instances, int buyers, int timeout_ms)
    : fleet_(fleet), instances_(std::move(instances)), number_([] {
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

bool Load::Progresses(int more) const {
  return Eventually([this, goal = ended() + more] { return ended() >= goal; }, absl::Seconds(30));
}

void Load::Buy(int buyer, int timeout_ms) {
  auto stub = fleet_.orders(instances_[buyer % instances_.size()]);
  for (int n = 0; !stop_; ++n) {
    const std::string key = absl::StrCat("load", number_, "-", n);
    const std::string sku = "load" + std::to_string((buyer + n) % 10);
    // A client that gets no answer asks again with the same key, as the API documents.
    while (!stop_) {
      const Result result = CreateOrder(*stub, "load-user" + std::to_string(buyer), key, {{sku, 1}}, timeout_ms);
      if (result.status.ok() && result.order.state() == ORDER_STATE_PAID) ++paid_;
      if (result.status.ok() && result.order.state() == ORDER_STATE_CANCELLED) ++cancelled_;
      if (result.status.ok() && result.order.state() == ORDER_STATE_PAID && n % 5 == 4) {
        CancelOrder(*stub, "load-user" + std::to_string(buyer), result.order.order_id());
      }
      if (result.status.ok()) break;
      ++failed_;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
}

}  // namespace flotilla::fleet
