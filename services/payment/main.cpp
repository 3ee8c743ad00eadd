// flotilla-payment: wallets and the ledger.
#include <memory>

#include "absl/status/status.h"
#include "payment/api/payment_api.h"
#include "payment/audit/ledger_audit.h"
#include "payment/store/ledger.h"
#include "payment/store/migrations.h"
#include "runtime/runtime.h"

namespace {

absl::Status Wire(flotilla::runtime::Fleet& fleet) {
  namespace payment = flotilla::payment;
  const auto postgres = fleet.postgres();
  if (auto status = fleet.Migrate(payment::Migrations()); !status.ok()) return status;
  auto* ledger = fleet.Keep(std::make_unique<payment::Ledger>(postgres));
  fleet.Keep(std::make_unique<payment::LedgerAudit>(postgres, payment::LedgerAudit::Options{}));
  fleet.Keep(std::make_unique<payment::PaymentApi>(fleet.server(), *ledger));
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) { return flotilla::runtime::Main(argc, argv, "payment", Wire); }
