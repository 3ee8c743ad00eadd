#include "payment/store/charge_rows.h"

#include <tuple>

#include "payment/store/rows.h"

namespace flotilla::payment {
namespace {

using postgres::Array;
using postgres::Statement;
using postgres::Transaction;

const Statement kLockCharges = {"lock_charges", R"(
    SELECT order_id, state, method, user_id, amount, currency, captured, refunded, settled, fee, fee_refunded, reason,
           provider_reference, (extract(epoch FROM expires_at) * 1000000)::bigint, transfer_id, event_count
    FROM charge WHERE order_id = ANY($1::uuid[]) ORDER BY order_id FOR NO KEY UPDATE)"};

const Statement kReadPayers = {"read_payers", R"(
    SELECT transfer_id, debit_account FROM transfer WHERE transfer_id = ANY($1::bigint[]))"};

const Statement kReadReferences = {"read_references", R"(
    SELECT provider_reference, order_id FROM charge WHERE provider_reference = ANY($1::text[]))"};

const Statement kReadRefunds = {"read_refunds", R"(
    SELECT r.order_id, r.refund_id, r.amount, r.currency, r.transfer_id,
           NOT EXISTS (SELECT 1 FROM refund l WHERE l.order_id = r.order_id AND l.transfer_id > r.transfer_id)
    FROM unnest($1::uuid[], $2::text[]) AS i(order_id, refund_id)
    JOIN refund r ON r.order_id = i.order_id AND r.refund_id = i.refund_id)"};

const Statement kReadProviderEvents = {"read_provider_events", R"(
    SELECT event_id, order_id, succeeded, amount, currency FROM provider_event WHERE event_id = ANY($1::text[]))"};

const Statement kReadDisputes = {"read_disputes", R"(
    SELECT event_id, order_id, succeeded, amount, currency FROM provider_dispute WHERE event_id = ANY($1::text[]))"};

const Statement kInsertTransfers = {"insert_transfers", R"(
    WITH input AS MATERIALIZED (
      SELECT i.*, nextval('transfer_transfer_id_seq') AS transfer_id
      FROM unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bpchar[], $6::text[]) WITH ORDINALITY
        AS i(kind, debit, credit, amount, currency, reference, position)
      ORDER BY position),
    moved AS (
      INSERT INTO transfer (transfer_id, kind, debit_account, credit_account, amount, currency, reference)
      SELECT transfer_id, kind, debit, credit, amount, currency, reference FROM input)
    SELECT transfer_id FROM input ORDER BY position)"};

const Statement kInsertCharges = {"insert_action_charges", R"(
    INSERT INTO charge (order_id, state, method, user_id, amount, currency, captured, refunded, reason,
                        provider_reference, expires_at, transfer_id, event_count)
    SELECT order_id, state, method, NULLIF(user_id, ''), NULLIF(amount, 0), NULLIF(currency, ''), captured, refunded,
           NULLIF(reason, ''), NULLIF(reference, ''), 'epoch'::timestamptz + NULLIF(expires_us, 0) * interval '1 microsecond',
           NULLIF(transfer_id, 0), event_count
    FROM unnest($1::uuid[], $2::smallint[], $3::smallint[], $4::text[], $5::bigint[], $6::text[], $7::bigint[],
                $8::bigint[], $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::int[])
      AS i(order_id, state, method, user_id, amount, currency, captured, refunded, reason, reference, expires_us,
           transfer_id, event_count)
    ORDER BY order_id
    ON CONFLICT (order_id) DO NOTHING)"};

const Statement kUpdateCharges = {"update_charges", R"(
    UPDATE charge c
    SET state = i.state, captured = i.captured, refunded = i.refunded, settled = i.settled, fee = i.fee,
        fee_refunded = i.fee_refunded, reason = NULLIF(i.reason, ''), transfer_id = NULLIF(i.transfer_id, 0),
        event_count = i.event_count
    FROM unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                $8::text[], $9::bigint[], $10::int[])
      AS i(order_id, state, captured, refunded, settled, fee, fee_refunded, reason, transfer_id, event_count)
    WHERE c.order_id = i.order_id)"};

const Statement kInsertRefunds = {"insert_refunds", R"(
    INSERT INTO refund (order_id, refund_id, amount, currency, transfer_id)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bpchar[], $5::bigint[]))"};

#define INSERT_WORDS(table) \
  "INSERT INTO " table      \
  R"( (event_id, order_id, succeeded, amount, currency)
    SELECT event_id, order_id, succeeded <> 0, amount, currency
    FROM unnest($1::text[], $2::uuid[], $3::int[], $4::bigint[], $5::bpchar[])
      AS i(event_id, order_id, succeeded, amount, currency)
    ORDER BY event_id)"
const Statement kInsertProviderEvents = {"insert_provider_events",
                                         INSERT_WORDS("provider_event") " ON CONFLICT (event_id) DO NOTHING"};
const Statement kInsertDisputes = {"insert_disputes", INSERT_WORDS("provider_dispute")};
#undef INSERT_WORDS

Charge FromRow(const postgres::Row& row) {
  return {.state = static_cast<ChargeState>(row[1].as<int>()),
          .method = static_cast<PaymentMethod>(row[2].as<int>()),
          .user_id = row[3].c_str(),
          .amount = {row[5].c_str(), row[4].as<std::int64_t>(0)},
          .captured = row[6].as<std::int64_t>(),
          .refunded = row[7].as<std::int64_t>(),
          .settled = row[8].as<std::int64_t>(),
          .fee = row[9].as<std::int64_t>(),
          .fee_refunded = row[10].as<std::int64_t>(),
          .reason = row[11].c_str(),
          .reference = row[12].c_str(),
          .expires_at = ExpiryOf(row[13]),
          .transfer_id = row[14].as<std::int64_t>(0),
          .event_count = row[15].as<int>()};
}

// The columns of some of the charges.
class Columns {
 public:
  Columns(std::span<const std::string> order_ids, const Charges& charges) {
    for (const std::string& id : order_ids) charges_.push_back(&charges.at(id));
  }
  template <class Get>
  postgres::Parameter Text(Get get) const {
    return TextColumn(charges_, [&](const Charge* c) -> std::string_view { return get(*c); });
  }
  template <class Get>
  postgres::Parameter Number(Get get) const {
    return NumberColumn(charges_, [&](const Charge* c) { return get(*c); });
  }

 private:
  std::vector<const Charge*> charges_;
};

ProviderWord Word(const postgres::Row& row) {
  return {row[0].c_str(), {row[1].c_str(), row[2].as<bool>(), {row[4].c_str(), row[3].as<std::int64_t>()}}};
}

auto WordColumns(std::span<const ProviderWord> words) {
  return std::tuple(
      TextColumn(words, [](const ProviderWord& w) -> std::string_view { return w.first; }),
      TextColumn(words, [](const ProviderWord& w) -> std::string_view { return w.second.order_id; }),
      NumberColumn(words, [](const ProviderWord& w) { return w.second.succeeded; }),
      NumberColumn(words, [](const ProviderWord& w) { return w.second.amount.minor_units; }),
      TextColumn(words, [](const ProviderWord& w) -> std::string_view { return w.second.amount.currency; }));
}

}  // namespace

absl::Time ExpiryOf(const postgres::Field& micros) {
  return micros.is_null() ? absl::InfinitePast() : absl::FromUnixMicros(micros.as<std::int64_t>());
}

void LockCharges(Transaction& transaction, std::span<const std::string> order_ids, Work& work) {
  for (const auto& row : transaction.Run(kLockCharges, Array(order_ids))) {
    work.charges.emplace(row[0].c_str(), FromRow(row));
  }
  // By a look of its own: had the lock to be waited for, a join would know the new row of the charge, but not the
  // transfer that was made with it.
  std::vector<std::int64_t> transfers;
  for (const auto& [order_id, charge] : work.charges) {
    if (charge.transfer_id != 0) transfers.push_back(charge.transfer_id);
  }
  if (transfers.empty()) return;
  absl::flat_hash_map<std::int64_t, std::int64_t> payers;
  for (const auto& row : transaction.Run(kReadPayers, Array(transfers))) {
    payers.emplace(row[0].as<std::int64_t>(), row[1].as<std::int64_t>());
  }
  for (auto& [order_id, charge] : work.charges) {
    if (charge.transfer_id != 0) charge.payer_account = payers.at(charge.transfer_id);
  }
}

void ReadReferences(Transaction& transaction, std::span<const std::string> references, Work& work) {
  for (const auto& row : transaction.Run(kReadReferences, Array(references))) {
    work.orders_by_reference.emplace(row[0].c_str(), row[1].c_str());
  }
}

void ReadRefunds(Transaction& transaction, std::span<const RefundKey> keys, Work& work) {
  for (const auto& row :
       transaction.Run(kReadRefunds, TextColumn(keys, [](const RefundKey& k) -> std::string_view { return k.first; }),
                       TextColumn(keys, [](const RefundKey& k) -> std::string_view { return k.second; }))) {
    work.refunds.emplace(RefundKey(row[0].c_str(), row[1].c_str()),
                         Refund{.amount = {row[3].c_str(), row[2].as<std::int64_t>()},
                                .transfer_id = row[4].as<std::int64_t>(),
                                .last = row[5].as<bool>()});
  }
}

void ReadProviderEvents(Transaction& transaction, std::span<const std::string> event_ids, Work& work) {
  for (const auto& row : transaction.Run(kReadProviderEvents, Array(event_ids))) work.provider_events.insert(Word(row));
}

void ReadDisputes(Transaction& transaction, std::span<const std::string> event_ids, Work& work) {
  for (const auto& row : transaction.Run(kReadDisputes, Array(event_ids))) work.disputes.insert(Word(row));
}

std::vector<std::int64_t> InsertTransfers(Transaction& transaction, std::span<const Transfer> transfers) {
  std::vector<std::int64_t> ids;
  ids.reserve(transfers.size());
  for (const auto& row :
       transaction.Run(kInsertTransfers, NumberColumn(transfers, [](const Transfer& t) { return t.kind; }),
                       NumberColumn(transfers, [](const Transfer& t) { return t.debit_account; }),
                       NumberColumn(transfers, [](const Transfer& t) { return t.credit_account; }),
                       NumberColumn(transfers, [](const Transfer& t) { return t.amount.minor_units; }),
                       TextColumn(transfers, [](const Transfer& t) -> std::string_view { return t.amount.currency; }),
                       TextColumn(transfers, [](const Transfer& t) -> std::string_view { return t.reference; }))) {
    ids.push_back(row[0].as<std::int64_t>());
  }
  return ids;
}

bool InsertCharges(Transaction& transaction, std::span<const std::string> order_ids, const Charges& charges) {
  const Columns columns(order_ids, charges);
  const auto inserted =
      transaction.Run(kInsertCharges, Array(order_ids), columns.Number([](const Charge& c) { return c.state; }),
                      columns.Number([](const Charge& c) { return c.method; }),
                      columns.Text([](const Charge& c) -> std::string_view { return c.user_id; }),
                      columns.Number([](const Charge& c) { return c.amount.minor_units; }),
                      columns.Text([](const Charge& c) -> std::string_view { return c.amount.currency; }),
                      columns.Number([](const Charge& c) { return c.captured; }),
                      columns.Number([](const Charge& c) { return c.refunded; }),
                      columns.Text([](const Charge& c) -> std::string_view { return c.reason; }),
                      columns.Text([](const Charge& c) -> std::string_view { return c.reference; }),
                      columns.Number([](const Charge& c) {
                        return c.expires_at == absl::InfinitePast() ? 0 : absl::ToUnixMicros(c.expires_at);
                      }),
                      columns.Number([](const Charge& c) { return c.transfer_id; }),
                      columns.Number([](const Charge& c) { return c.event_count; }));
  return inserted.affected_rows() == order_ids.size();
}

void UpdateCharges(Transaction& transaction, std::span<const std::string> order_ids, const Charges& charges) {
  const Columns columns(order_ids, charges);
  transaction.Defer(kUpdateCharges, Array(order_ids), columns.Number([](const Charge& c) { return c.state; }),
                    columns.Number([](const Charge& c) { return c.captured; }),
                    columns.Number([](const Charge& c) { return c.refunded; }),
                    columns.Number([](const Charge& c) { return c.settled; }),
                    columns.Number([](const Charge& c) { return c.fee; }),
                    columns.Number([](const Charge& c) { return c.fee_refunded; }),
                    columns.Text([](const Charge& c) -> std::string_view { return c.reason; }),
                    columns.Number([](const Charge& c) { return c.transfer_id; }),
                    columns.Number([](const Charge& c) { return c.event_count; }));
}

void InsertRefunds(Transaction& transaction, const std::map<RefundKey, Refund>& refunds) {
  using Row = std::pair<const RefundKey, Refund>;
  transaction.Defer(kInsertRefunds, TextColumn(refunds, [](const Row& r) -> std::string_view { return r.first.first; }),
                    TextColumn(refunds, [](const Row& r) -> std::string_view { return r.first.second; }),
                    NumberColumn(refunds, [](const Row& r) { return r.second.amount.minor_units; }),
                    TextColumn(refunds, [](const Row& r) -> std::string_view { return r.second.amount.currency; }),
                    NumberColumn(refunds, [](const Row& r) { return r.second.transfer_id; }));
}

bool InsertProviderEvents(Transaction& transaction, std::span<const ProviderWord> words) {
  const auto inserted = std::apply(
      [&](const auto&... column) { return transaction.Run(kInsertProviderEvents, column...); }, WordColumns(words));
  return inserted.affected_rows() == words.size();
}

void InsertDisputes(Transaction& transaction, std::span<const ProviderWord> words) {
  std::apply([&](const auto&... column) { transaction.Defer(kInsertDisputes, column...); }, WordColumns(words));
}

}  // namespace flotilla::payment
