#include "soak/buyers.h"

#include <chrono>

#include "absl/strings/str_cat.h"

namespace flotilla::soak {
namespace {

constexpr int kSkus = 20;
constexpr int kTimeoutMs = 3000;

bool Chance(std::mt19937_64& random, int percent) { return static_cast<int>(random() % 100) < percent; }

}  // namespace

Buyers::Buyers(fleet::Fleet& fleet, std::vector<std::string> instances, int count, std::uint64_t seed)
    : fleet_(fleet), instances_(std::move(instances)) {
  // Some SKUs are scarce, so that orders are refused, and some buyers are poor, so that sagas are compensated.
  for (int s = 0; s < kSkus; ++s) fleet_.PutSku(absl::StrCat("soak", s), 10 + s, s % 5 == 0 ? 50 : 10000000);
  for (int i = 0; i < count; ++i) fleet_.OpenWallet(absl::StrCat("buyer", i), i % 4 == 3 ? 500 : 1000000000);
  for (int i = 0; i < count; ++i) threads_.emplace_back([this, i, seed] { Live(i, seed); });
}

void Buyers::Stop() {
  stop_ = true;
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

bool Buyers::Buy(std::mt19937_64& random, const std::string& user, const std::string& key, fleet::Result& result) {
  fleet::Items items;
  const int lines = 1 + static_cast<int>(random() % 3);
  const std::uint64_t first = random();
  for (int i = 0; i < lines; ++i) {
    items.emplace_back(absl::StrCat("soak", (first + static_cast<std::uint64_t>(i)) % kSkus), 1 + random() % 3);
  }
  std::uint64_t instance = random();
  while (!stop_) {
    const auto stub = fleet_.orders(instances_[instance++ % instances_.size()]);
    result = fleet::CreateOrder(*stub, user, key, items, kTimeoutMs);
    if (result.status.ok()) return true;
    const auto code = result.status.error_code();
    if (code == grpc::StatusCode::FAILED_PRECONDITION || code == grpc::StatusCode::NOT_FOUND) {
      ++refused_;
      return false;
    }
    ++unknown_;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

void Buyers::Live(int number, std::uint64_t seed) {
  std::mt19937_64 random(seed * 1000003 + static_cast<std::uint64_t>(number));
  const std::string user = absl::StrCat("buyer", number);
  for (int n = 0; !stop_; ++n) {
    fleet::Result bought;
    if (!Buy(random, user, absl::StrCat("k", n), bought)) continue;
    ++(bought.order.state() == order::v1::ORDER_STATE_PAID ? paid_ : cancelled_);
    const auto stub = fleet_.orders(instances_[random() % instances_.size()]);
    if (Chance(random, 15)) fleet::GetOrder(*stub, user, bought.order.order_id());
    if (Chance(random, 15)) fleet::CancelOrder(*stub, user, bought.order.order_id());
  }
}

}  // namespace flotilla::soak
