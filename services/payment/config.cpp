#include "payment/config.h"

#include "absl/flags/flag.h"
#include "absl/strings/str_split.h"

ABSL_FLAG(std::string, provider_secrets, "",
          "Secrets that the external payment provider signs callbacks with, at most two, separated by a comma; empty: "
          "no callback is taken. Better set by FLOTILLA_PROVIDER_SECRETS than on the command line.");
ABSL_FLAG(int, fee_basis_points, 250, "The platform's part of what is settled, 0 to 10,000 (all of it).");
ABSL_FLAG(std::int64_t, minimum_fee, 0, "The least platform fee of an order, in minor units.");
ABSL_FLAG(absl::Duration, settle_after, absl::Hours(24), "How long after its completion an order is settled.");
ABSL_FLAG(std::string, settle_on, "completion",
          "completion: the order service is asked whether and since when an order is complete; charge: it counts as "
          "complete from its charge on, for payments whose orders that service does not know.");
ABSL_FLAG(absl::Duration, reconcile_every, absl::Minutes(1),
          "How often a statement of the provider that has open differences, or an order that differs, is compared with "
          "the ledger.");
ABSL_FLAG(
    absl::Duration, compare_orders_after, absl::Minutes(10),
    "How long after a change of an order, or of its money, the order is compared with the ledger; at most 24h. Not "
    "with --settle_on=charge.");
ABSL_FLAG(absl::Duration, statement_margin, absl::Minutes(5),
          "How long ago the period of a provider's statement must have ended: longer than a commit takes, and than "
          "clocks are apart.");

namespace flotilla::payment {

absl::StatusOr<Config> ReadConfig() {
  Config config;
  config.provider_secrets = absl::StrSplit(absl::GetFlag(FLAGS_provider_secrets), ',', absl::SkipEmpty());
  if (config.provider_secrets.size() > 2) {
    return absl::InvalidArgumentError("--provider_secrets: at most two");
  }
  config.split = {absl::GetFlag(FLAGS_fee_basis_points), absl::GetFlag(FLAGS_minimum_fee)};
  if (config.split.basis_points < 0 || config.split.basis_points > 10000) {
    return absl::InvalidArgumentError("--fee_basis_points: must be 0 to 10000");
  }
  if (config.split.minimum_fee < 0) return absl::InvalidArgumentError("--minimum_fee: must not be negative");
  config.settle_after = absl::GetFlag(FLAGS_settle_after);
  if (config.settle_after < absl::ZeroDuration()) {
    return absl::InvalidArgumentError("--settle_after: must not be negative");
  }
  const std::string settle_on = absl::GetFlag(FLAGS_settle_on);
  if (settle_on != "completion" && settle_on != "charge") {
    return absl::InvalidArgumentError("--settle_on: must be completion or charge");
  }
  config.settle_on_completion = settle_on == "completion";
  config.reconcile_every = absl::GetFlag(FLAGS_reconcile_every);
  if (config.reconcile_every < absl::Seconds(1)) {
    return absl::InvalidArgumentError("--reconcile_every: must be at least 1s");
  }
  config.compare_orders_after = absl::GetFlag(FLAGS_compare_orders_after);
  if (config.compare_orders_after < absl::ZeroDuration() || config.compare_orders_after > absl::Hours(24)) {
    return absl::InvalidArgumentError("--compare_orders_after: must be 0 to 24h");
  }
  config.statement_margin = absl::GetFlag(FLAGS_statement_margin);
  if (config.statement_margin < absl::ZeroDuration()) {
    return absl::InvalidArgumentError("--statement_margin: must not be negative");
  }
  return config;
}

}  // namespace flotilla::payment
