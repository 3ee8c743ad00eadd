// Buyers that place orders until told to stop. Every third buyer is poor, so some orders are compensated; the others
// cancel every fifth order. With Flows::kAll they also have orders refunded, in part and in full, and pay some through
// the external provider, which accepts, refuses or says nothing.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "fleet/fleet.h"
#include "gtest/gtest.h"

namespace flotilla::fleet {

enum class Flows { kWallet, kAll };

// The provider's secret that payment is to be started with for Flows::kAll.
inline constexpr char kLoadProviderSecret[] = "load-provider";

class Load {
 public:
  // Ten SKUs, and a wallet for each buyer.
  static void Prepare(Fleet& fleet, int buyers);

  Load(Fleet& fleet, std::vector<std::string> instances, int buyers, int timeout_ms = 2000,
       Flows flows = Flows::kWallet);
  ~Load() { Stop(); }
  void Stop();

  int ended() const { return paid_ + cancelled_; }
  int failed() const { return failed_; }
  std::string failures() const;  // how often each reason, a line each
  // True once `more` further orders have ended; where they have not within 90 s it says why calls failed.
  testing::AssertionResult Progresses(int more = 100) const;

 private:
  void Buy(int buyer, int timeout_ms);
  // What a buyer does with an order that was answered.
  void Follow(order::v1::OrderService::Stub& stub, const std::string& user, int n, const order::v1::Order& order);

  Fleet& fleet_;
  const std::vector<std::string> instances_;
  const Flows flows_;
  const int number_;  // keys of one load are not those of another
  std::atomic<bool> stop_ = false;
  std::atomic<int> paid_ = 0, cancelled_ = 0, failed_ = 0;
  mutable std::mutex mutex_;
  std::map<std::string, int> reasons_;  // of failed calls
  std::vector<std::thread> threads_;
};

}  // namespace flotilla::fleet
