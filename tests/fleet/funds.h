// Calls on payments as the order service makes them, written to the log that the checker judges, and threads that make
// them until told to stop: charges, authorizations captured in part or voided, refunds in parts and at once, refunds
// that come before their charge. Every tenth payment is of one hot wallet.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fleet/calls.h"
#include "flotilla/payment/v1/payment_service.grpc.pb.h"

namespace flotilla::fleet {

class Funds {
 public:
  using Stub = payment::v1::PaymentService::Stub;

  // Wallets of plenty, user-0 (the hot one) to user-<users - 1>.
  static void Prepare(Stub& payments, int users);

  // The threads share the channels. Order ids differ from those of any other `run`.
  Funds(std::vector<std::shared_ptr<grpc::Channel>> channels, int threads, int users, int run);
  ~Funds() { Stop(); }
  // Calls under way are asked again until they are answered, but not for ever.
  void Stop();

  int payments() const { return payments_; }  // that have come to their end
  int unanswered() const { return unanswered_; }
  // True once `more` further payments have come to their end; false where they have not within 60 s.
  bool Progresses(int more = 200) const;

 private:
  class Payment;
  void Run(int thread);

  const std::vector<std::shared_ptr<grpc::Channel>> channels_;
  const int threads_count_, users_, run_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> payments_ = 0, unanswered_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace flotilla::fleet
