// The external payment provider, simulated: signs and sends callbacks, also the ones that a provider should not send.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "fleet/fleet.h"
#include "flotilla/payment/v1/reconciliation_service.pb.h"

namespace flotilla::fleet {

struct Callback {
  std::string event_id;
  std::string reference;
  bool succeeded = true;
  std::int64_t amount = 0;
  std::string currency = "EUR";
  absl::Duration age = absl::ZeroDuration();  // of the timestamp
};

class Provider {
 public:
  Provider(std::unique_ptr<payment::v1::PaymentService::Stub> payments, std::string secret)
      : payments_(std::move(payments)), secret_(std::move(secret)) {}

  // The reason where it was refused, "" where it was taken.
  std::string Send(const Callback& callback);
  // The same, with the status.
  Result Explained(const Callback& callback) { return Call(callback, secret_); }
  // The same with a signature that is not the provider's.
  std::string Forge(const Callback& callback);
  // Stands in its statement from now on: what it believes it was paid, or gave back.
  void Book(payment::v1::ProviderKind kind, const std::string& reference, std::int64_t amount);
  // All it booked, as the CSV file that ReconciliationService imports.
  std::string Statement() const;
  // What a bad day brings for one payment that succeeds in the end: repeats, a forgery, a stale copy, an outcome that
  // contradicts the first, in an order that follows from `seed`. The first honest word is success. Books the payment.
  // "", or why no repeat will ever be heard.
  [[nodiscard]] std::string Storm(const std::string& reference, std::int64_t amount, unsigned seed);

 private:
  Result Call(const Callback& callback, const std::string& secret);

  const std::unique_ptr<payment::v1::PaymentService::Stub> payments_;
  const std::string secret_;
  std::string booked_;  // lines of the statement
};

}  // namespace flotilla::fleet
