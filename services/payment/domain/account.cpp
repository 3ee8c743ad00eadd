#include "payment/domain/account.h"

namespace flotilla::payment {

void SystemAccounts::Add(AccountKind kind, std::string currency, std::int64_t account_id) {
  accounts_.insert_or_assign({kind, std::move(currency)}, account_id);
  ids_.insert(account_id);
}

std::int64_t SystemAccounts::Find(AccountKind kind, const std::string& currency) const {
  const auto it = accounts_.find(std::pair<AccountKind, std::string>(kind, currency));
  return it == accounts_.end() ? 0 : it->second;
}

Postings Sum(std::span<const Transfer> transfers, const SystemAccounts& system) {
  Postings postings;
  const auto post = [&](std::int64_t account, std::int64_t delta) {
    std::int64_t& sum = (system.Holds(account) ? postings.system : postings.wallets)[account];
    postings.overflow |= __builtin_add_overflow(sum, delta, &sum);
  };
  for (const Transfer& transfer : transfers) {
    post(transfer.debit_account, -transfer.amount.minor_units);
    post(transfer.credit_account, transfer.amount.minor_units);
  }
  return postings;
}

}  // namespace flotilla::payment
