#include "soak/buyers.h"

#include <chrono>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "fleet/provider.h"

namespace flotilla::soak {
namespace {

constexpr int kSkus = 20;
constexpr int kTimeoutMs = 3000;

bool Chance(std::mt19937_64& random, int percent) { return static_cast<int>(random() % 100) < percent; }

fleet::Items SomeItems(std::mt19937_64& random) {
  fleet::Items items;
  const int lines = 1 + static_cast<int>(random() % 3);
  const std::uint64_t first = random();
  for (int i = 0; i < lines; ++i) {
    items.emplace_back(absl::StrCat("soak", (first + static_cast<std::uint64_t>(i)) % kSkus), 1 + random() % 3);
  }
  return items;
}

}  // namespace

Buyers::Buyers(World& world, int count, std::uint64_t seed) : world_(world) {
  // Some SKUs are scarce, so that orders are refused, and some buyers are poor, so that sagas are compensated.
  for (int s = 0; s < kSkus; ++s) world.fleet.PutSku(absl::StrCat("soak", s), 10 + s, s % 5 == 0 ? 50 : 10000000);
  for (int i = 0; i < count; ++i) world.fleet.OpenWallet(absl::StrCat("buyer", i), i % 4 == 3 ? 500 : 1000000000);
  for (int i = 0; i < count; ++i) threads_.emplace_back([this, i, seed] { Live(i, seed); });
}

void Buyers::Stop() {
  stop_ = true;
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

bool Buyers::Answered(std::mt19937_64& random, const Send& send, fleet::Result& result) {
  std::uint64_t instance = random();
  while (!stop_) {
    const auto stub = world_.fleet.orders(world_.orders[instance++ % world_.orders.size()]);
    result = send(*stub);
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

void Buyers::Pay(std::mt19937_64& random, const order::v1::Order& order) {
  if (Chance(random, 20)) return;
  const std::string instance = world_.payments[random() % world_.payments.size()];
  fleet::Provider provider(world_.fleet.payments(instance), kProviderSecret);
  if (Chance(random, 75)) {
    const std::string refused =
        provider.Storm(order.payment_reference(), order.total().minor_units(), static_cast<unsigned>(random()));
    if (!refused.empty()) throw std::runtime_error(order.order_id() + ": the provider's word is refused: " + refused);
  } else {
    provider.Send({.event_id = "evt-" + order.payment_reference(),
                   .reference = order.payment_reference(),
                   .succeeded = false,
                   .amount = order.total().minor_units()});
  }
}

void Buyers::Live(int number, std::uint64_t seed) {
  std::mt19937_64 random(seed * 1000003 + static_cast<std::uint64_t>(number));
  const std::string user = absl::StrCat("buyer", number);
  for (int n = 0; !stop_; ++n) {
    const fleet::Items items = SomeItems(random);
    const auto method = Chance(random, 10) ? order::v1::PAYMENT_METHOD_EXTERNAL : order::v1::PAYMENT_METHOD_WALLET;
    fleet::Result bought;
    const auto create = [&](order::v1::OrderService::Stub& stub) {
      return fleet::CreateOrder(stub, user, absl::StrCat("k", n), items, kTimeoutMs, method);
    };
    if (!Answered(random, create, bought)) continue;
    const std::string& id = bought.order.order_id();
    if (method == order::v1::PAYMENT_METHOD_EXTERNAL) {
      ++external_;
      if (!bought.order.payment_reference().empty()) Pay(random, bought.order);
    } else {
      ++(bought.order.state() == order::v1::ORDER_STATE_PAID ? paid_ : cancelled_);
    }
    const auto stub = world_.fleet.orders(world_.orders[random() % world_.orders.size()]);
    if (Chance(random, 15)) fleet::GetOrder(*stub, user, id);
    if (Chance(random, 15)) {
      const bool whole = Chance(random, 50);
      const fleet::Refund refund = {.refund_id = "r", .amount = whole ? 0 : 5, .return_stock = whole};
      const auto ask = [&](order::v1::OrderService::Stub& s) {
        return fleet::RefundOrder(s, user, id, refund, kTimeoutMs);
      };
      fleet::Result refunded;
      if (Answered(random, ask, refunded)) ++refunded_;
    }
    if (Chance(random, 15)) fleet::CancelOrder(*stub, user, id);
  }
}

}  // namespace flotilla::soak
