#include "payment/workflow/teller.h"

#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace flotilla::payment {
namespace {

prometheus::Counter& Told(const char* outcome) {
  return telemetry::Counter("flotilla_payment_provider_total",
                            "Payments by the external provider, by what became of them", {{"outcome", outcome}});
}

}  // namespace

std::function<void(const std::vector<Work::Told>&)> Teller(std::function<void()> wake) {
  struct Counters {
    prometheus::Counter& succeeded = Told("succeeded");
    prometheus::Counter& failed = Told("failed");
    prometheus::Counter& expired = Told("expired");
    prometheus::Counter& late_refunded = Told("late_refunded");
    prometheus::Counter& conflict = Told("conflict");
    prometheus::Counter& wrong_amount = Told("wrong_amount");
  };
  return [wake = std::move(wake), counters = Counters()](const std::vector<Work::Told>& all) {
    wake();
    for (const Work::Told& told : all) {
      switch (told.notice) {
        case Notice::kSucceeded:
          counters.succeeded.Increment();
          break;
        case Notice::kFailed:
          counters.failed.Increment();
          break;
        case Notice::kExpired:
          counters.expired.Increment();
          break;
        case Notice::kLateRefunded:
          counters.late_refunded.Increment();
          telemetry::Warning("paid after the order was given up; refunded", {{"order_id", told.order_id}});
          break;
        case Notice::kConflict:
          counters.conflict.Increment();
          telemetry::Error("the payment provider contradicts itself; its first word stands",
                           {{"order_id", told.order_id}});
          break;
        case Notice::kWrongAmount:
          counters.wrong_amount.Increment();
          telemetry::Error("the payment provider speaks of another amount than was asked for; not taken",
                           {{"order_id", told.order_id}});
          break;
      }
    }
  };
}

}  // namespace flotilla::payment
