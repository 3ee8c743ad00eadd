// Within this room: the tables charge, refund, provider_event, provider_dispute and transfer, for actions. All take
// part in the caller's transaction.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "payment/domain/action.h"
#include "postgres/session.h"

namespace flotilla::payment {

// A charge's expires_at, read as microseconds.
absl::Time ExpiryOf(const postgres::Field& micros);

// Adds the orders' charges to work.charges, locked.
void LockCharges(postgres::Transaction& transaction, std::span<const std::string> order_ids, Work& work);
// Fills work.orders_by_reference.
void ReadReferences(postgres::Transaction& transaction, std::span<const std::string> references, Work& work);
void ReadRefunds(postgres::Transaction& transaction, std::span<const RefundKey> keys, Work& work);
void ReadProviderEvents(postgres::Transaction& transaction, std::span<const std::string> event_ids, Work& work);
void ReadDisputes(postgres::Transaction& transaction, std::span<const std::string> event_ids, Work& work);

// Inserts the transfers and returns their ids, in order.
std::vector<std::int64_t> InsertTransfers(postgres::Transaction& transaction, std::span<const Transfer> transfers);
// Writes new charges; false where another transaction made one of them meanwhile.
bool InsertCharges(postgres::Transaction& transaction, std::span<const std::string> order_ids, const Charges& charges);
void UpdateCharges(postgres::Transaction& transaction, std::span<const std::string> order_ids, const Charges& charges);
void InsertRefunds(postgres::Transaction& transaction, const std::map<RefundKey, Refund>& refunds);
// False where another transaction made one of them meanwhile.
bool InsertProviderEvents(postgres::Transaction& transaction, std::span<const ProviderWord> words);
// Of charges that are locked, so nobody else writes the same.
void InsertDisputes(postgres::Transaction& transaction, std::span<const ProviderWord> words);

}  // namespace flotilla::payment
