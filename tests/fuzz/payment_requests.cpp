// Requests of payment: bytes -> message -> domain. Amounts that pass are money.
#include "fuzz/fuzz.h"
#include "payment/api/convert.h"
#include "payment/api/ledger_convert.h"
#include "payment/api/reconciliation_convert.h"

namespace flotilla::payment {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'790'000'000);

void Run(std::string_view input) {
  const auto parse = [](const auto& request) { return Parse(request); };
  const auto parse_now = [](const auto& request) { return Parse(request, kNow); };
  switch (fuzz::TakeChoice(input, 17)) {
    case 0:
      return fuzz::Handle<v1::ChargeRequest>(input, [](const auto& r) {
        auto charge = Parse(r);
        if (charge.ok()) {
          fuzz::Require(charge->amount.minor_units > 0 && charge->amount.minor_units <= kMaxAmount,
                        "an amount is money");
        }
        return charge;
      });
    case 1:
      return fuzz::Handle<v1::RefundRequest>(input, parse);
    case 2:
      return fuzz::Handle<v1::DepositRequest>(input, parse);
    case 3:
      return fuzz::Handle<v1::AuthorizeRequest>(input, parse_now);
    case 4:
      return fuzz::Handle<v1::CaptureRequest>(input, parse);
    case 5:
      return fuzz::Handle<v1::VoidRequest>(input, parse);
    case 6:
      return fuzz::Handle<v1::SettleRequest>(input, parse);
    case 7:
      return fuzz::Handle<v1::CreatePaymentRequest>(input, parse);
    case 8:
      return fuzz::Handle<v1::GetAccountRequest>(
          input, [](const auto& r) { return ParseWallet(r.user_id(), r.currency_code()); });
    case 9:
      return fuzz::Handle<v1::ListTransfersRequest>(input, parse);
    case 10:
      return fuzz::Handle<v1::GetStatementRequest>(input, parse);
    case 11:
      return fuzz::Handle<v1::VerifyJournalRequest>(input, [](const auto& r) { return ParseAnchor(r); });
    case 12:
      return fuzz::Handle<v1::ImportStatementRequest>(input, parse_now);
    case 13:
      return fuzz::Handle<v1::ListDifferencesRequest>(input, parse);
    case 14:
      return fuzz::Handle<v1::ListStatementsRequest>(input, parse);
    case 15:
      return fuzz::Handle<v1::WithdrawStatementRequest>(input, [](const auto& r) { return Parse(r, "operator"); });
    default:
      return fuzz::Handle<v1::ResolveDifferenceRequest>(input, [](const auto& r) { return Parse(r, "operator"); });
  }
}

}  // namespace
}  // namespace flotilla::payment

FLOTILLA_FUZZ(flotilla::payment::Run)
