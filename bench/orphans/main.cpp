// Thousands of sagas orphaned by killing the real order service, and taken over by another one or by itself after a
// restart: when that begins and how fast it goes. Needs the servers that tests/run starts:
//   FLOTILLA_TEST_POSTGRES=... FLOTILLA_TEST_BIN=build/release/bin flotilla-bench-orphans [sagas, 10000]
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "fleet/fleet.h"
#include "process/process.h"
#include "testing/eventually.h"

namespace flotilla {
namespace {

constexpr int kBuyers = 200;
constexpr int kSkus = 100;

std::int64_t Open(const fleet::Fleet& fleet) { return fleet.Query("order", "SELECT count(*) FROM saga"); }

// So many sagas have been taken over so far; the first and the last of them, in seconds after `from`.
struct TakenOver {
  std::int64_t count;
  double first, last;
};
TakenOver CountTakenOver(const fleet::Fleet& fleet, absl::Time from) {
  const std::string zero = absl::FormatTime("%Y-%m-%d %H:%M:%E6S+00", from, absl::UTCTimeZone());
  const auto since = [&](const char* which) {
    return static_cast<double>(
               fleet.Query("order", absl::StrCat("SELECT coalesce((extract(epoch FROM ", which, "(at) - '", zero,
                                                 "') * 1000)::bigint, 0) FROM saga_history WHERE kind = 2"))) /
           1000;
  };
  return {fleet.Query("order", "SELECT count(*) FROM saga_history WHERE kind = 2"), since("min"), since("max")};
}

// Orders that cannot be charged, for nobody reaches payment: each leaves a saga that order-1 keeps trying.
void Fill(fleet::Fleet& fleet, std::int64_t count) {
  std::atomic<bool> enough = false;
  std::vector<std::thread> buyers;
  for (int i = 0; i < kBuyers; ++i) {
    buyers.emplace_back([&fleet, &enough, i] {
      const auto stub = fleet.orders("order-1");
      const std::string user = absl::StrCat("user", i);
      for (int n = 0; !enough; ++n) {
        fleet::CreateOrder(*stub, user, absl::StrCat("k", n), {{absl::StrCat("sku", (i + n) % kSkus), 1}}, 250);
      }
    });
  }
  Eventually([&] { return Open(fleet) >= count; }, absl::Minutes(5));
  enough = true;
  for (auto& buyer : buyers) buyer.join();
}

bool Measure(bool restart, std::int64_t count) {
  fleet::Fleet fleet;
  fleet::Proxy to_payment;
  for (const char* service : {"inventory", "notify", "order"}) fleet.WaitServing(fleet.Start(service));
  fleet.WaitServing(fleet.StartBehind(to_payment, "payment"));
  if (!restart) fleet.WaitServing(fleet.Start("order"));
  for (int i = 0; i < kSkus; ++i) fleet.PutSku(absl::StrCat("sku", i), 10, 10000000);
  for (int i = 0; i < kBuyers; ++i) fleet.OpenWallet(absl::StrCat("user", i), 1000000000);
  to_payment.Cut();
  Fill(fleet, count);

  std::printf("%ld sagas that cannot go on: order-1 takes %.0f MB\n", static_cast<long>(Open(fleet)),
              bench::ResidentMb(fleet.process("order-1").pid()));
  const TakenOver before = CountTakenOver(fleet, absl::Now());
  fleet.Kill("order-1");
  const absl::Time killed = absl::Now();
  const std::int64_t orphans = Open(fleet);
  to_payment.Heal();
  if (restart) fleet.Restart("order-1");
  if (!Eventually([&] { return Open(fleet) == 0; }, absl::Minutes(3))) {
    std::cout << "WRONG: " << Open(fleet) << " sagas are left after three minutes\n";
    return false;
  }
  const double all = absl::ToDoubleSeconds(absl::Now() - killed);
  const TakenOver after = CountTakenOver(fleet, killed);
  std::printf(
      "%s: %ld orphans; after the kill the first was resumed at %.2f s, the last at %.2f s (%.0f/s), all had ended at "
      "%.2f s (%.0f/s)\n",
      restart ? "the killed one, started again" : "another instance", static_cast<long>(orphans), after.first,
      after.last, static_cast<double>(orphans) / (after.last - after.first), all,
      static_cast<double>(orphans) / (all - after.first));
  if (before.count > 0)
    std::printf("WRONG: %ld were taken over from a living owner\n", static_cast<long>(before.count));
  const std::string violations = fleet.Check();
  std::cout << (violations.empty() ? "no promise is broken\n" : violations) << std::flush;
  return violations.empty() && before.count == 0;
}

}  // namespace
}  // namespace flotilla

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 10000;
  if (count < 1) return 2;
  const bool other = flotilla::Measure(false, count);
  const bool again = flotilla::Measure(true, count);
  return other && again ? 0 : 1;
}
