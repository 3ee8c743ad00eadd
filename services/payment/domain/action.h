// Everything that happens to charges beside the hot path: authorizations, refunds, the external provider, settlement.
// A batch of actions is decided in order of arrival over one Work, each seeing what those before it did. Pure
// functions; the store loads the work, holds the locks and writes what comes out.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "payment/domain/charge.h"

namespace flotilla::payment {

inline constexpr absl::Duration kMaxExpiry = absl::Hours(30 * 24);  // of an authorization or a wait

// Holds money of a wallet for an order until it is captured or voided, or its time runs out.
struct AuthorizeCommand {
  std::string order_id;
  std::string user_id;
  Money amount;
  absl::Time expires_at;
};
// Takes all or a part of what is held; the rest goes back to the wallet.
struct CaptureCommand {
  std::string order_id;
  std::optional<Money> amount = {};  // absent: all
};
// Gives back what is held, or stops waiting for the provider. Leaves a tombstone where nothing came before.
struct VoidCommand {
  std::string order_id;
};
// Ends an authorization or a wait whose time has run out.
struct ExpireCommand {
  std::string order_id;
};
// Gives money back. Without a refund id: all that is left, and what is not captured is voided (a saga's compensation).
struct RefundCommand {
  std::string order_id;
  std::string refund_id = {};
  std::optional<Money> amount = {};  // absent: all that is left
};
// Waits for the external provider to say that the order was paid.
struct AwaitCommand {
  std::string order_id;
  std::string user_id;
  Money amount;
  absl::Time expires_at;
  std::string reference;  // for the provider, unguessable
};
// The provider's word on a payment.
struct CallbackCommand {
  std::string event_id;
  std::string reference;
  bool succeeded = false;
  Money amount;
};
// Splits what is captured and not refunded between merchant and platform.
struct SettleCommand {
  std::string order_id;
};

using Action = std::variant<AuthorizeCommand, CaptureCommand, VoidCommand, ExpireCommand, RefundCommand, AwaitCommand,
                            CallbackCommand, SettleCommand>;

enum class Outcome {
  kDone,  // a repeat's answer too
  kInsufficientFunds,
  kUnknownAccount,
  kUnknownCharge,     // nothing was ever charged for the order
  kUnknownReference,  // no payment waits under this reference
  kOtherUser,         // than the first time, like the next two
  kOtherAmount,
  kOtherMethod,
  kBadExpiry,         // a new one's time is not in the future, or too far ahead
  kCurrencyMismatch,  // the amount is not in the charge's currency
  kVoided,            // a refund or void came first
  kRefunded,          // all went back already
  kExpired,           // the authorization's time has run out
  kRefused,           // the charge had been refused: nothing was taken
  kNotCaptured,       // held only
  kNotPaid,           // the provider has not spoken yet
  kPaymentExpired,    // not paid in time
  kAlreadyCaptured,   // a void came too late
  kCaptureMismatch,   // captured before, another amount
  kNotAuthorized,     // nothing is held: the external provider is to pay
  kExceedsAuthorized,
  kExceedsCaptured,  // more than is left to give back
  kRefundMismatch,   // the refund id was used with another amount
  kAmountMismatch,   // the provider speaks of another amount
  kBalanceLimit,     // the provider would owe more than kMostOwed
  kEventReused,      // the provider's event id was used for another word
};

struct ActionResult {
  Outcome outcome = Outcome::kDone;
  Money amount = {};             // moved: held, captured, given back, settled
  std::int64_t transfer_id = 0;  // the first one that this action or its first run made
  std::string reference = {};    // of AwaitCommand
  absl::Time expires_at = absl::InfinitePast();
  std::optional<std::size_t> transfer = {};  // index in Work::transfers of one that has no id yet
};

// How settled money is split: `basis_points` of it, rounded down, but at least `minimum_fee` and never more than all,
// go to the platform, the rest to the merchant. So no unit is lost.
struct SplitRule {
  std::int64_t basis_points = 250;
  std::int64_t minimum_fee = 0;  // minor units
};

struct Refund {
  Money amount;
  std::int64_t transfer_id = 0;
  std::optional<std::size_t> transfer = {};  // index in Work::transfers of one that has no id yet
  bool last = true;                          // no other refund of the charge followed
};
using RefundKey = std::pair<std::string, std::string>;  // order id, refund id

struct ProviderEvent {
  std::string order_id;
  bool succeeded = false;
  Money amount;
  auto operator<=>(const ProviderEvent&) const = default;
};
using ProviderWord = std::pair<std::string, ProviderEvent>;  // under its event id

// What the order service and operators are told.
enum class Notice {
  kSucceeded,     // paid: the order goes on
  kFailed,        // refused by the provider
  kExpired,       // not paid in time
  kLateRefunded,  // paid after it was given up; the money went back
  kConflict,      // the provider contradicts itself; its first word stands
  kWrongAmount,   // the provider speaks of another amount; not taken
};

class Work {
 public:
  // Loaded before the batch is decided.
  Charges charges;
  absl::flat_hash_map<std::string, std::string> orders_by_reference;
  absl::flat_hash_map<std::string, ProviderEvent> provider_events;   // by event id
  std::set<ProviderWord> disputes;                                   // words that were told, but not taken
  absl::flat_hash_map<std::string, std::int64_t> provider_balances;  // by currency, as they were a moment ago
  std::map<RefundKey, Refund> refunds;
  Wallets wallets;
  SystemAccounts system;
  SplitRule split;
  absl::Time now;

  // What comes out.
  struct Told {
    std::string order_id;
    Notice notice;
    int sequence;  // in the order's stream of events
  };
  std::vector<Transfer> transfers;
  std::map<std::string, bool> changed;  // order id; true: the charge is new
  std::map<RefundKey, Refund> new_refunds;
  std::vector<ProviderWord> new_provider_events;
  std::vector<ProviderWord> new_disputes;
  std::vector<Told> told;

  // The stored charge or null.
  Charge* Find(const std::string& order_id);
  // The charge, to be written again.
  Charge& Change(const std::string& order_id);
  Charge& Create(const std::string& order_id, Charge charge);
  // Records a transfer and returns its index.
  std::size_t Move(TransferKind kind, std::int64_t debit, std::int64_t credit, const std::string& order_id,
                   const Money& amount);
  void Tell(const std::string& order_id, Notice notice);
};

// Why nothing can be given back or split; kDone where something can.
Outcome CheckCaptured(const Charge* charge);
bool IsGoodExpiry(const Work& work, absl::Time expires_at);

ActionResult Apply(Work& work, const AuthorizeCommand& command);
ActionResult Apply(Work& work, const CaptureCommand& command);
ActionResult Apply(Work& work, const VoidCommand& command);
ActionResult Apply(Work& work, const ExpireCommand& command);
ActionResult Apply(Work& work, const RefundCommand& command);
ActionResult Apply(Work& work, const AwaitCommand& command);
ActionResult Apply(Work& work, const CallbackCommand& command);
ActionResult Apply(Work& work, const SettleCommand& command);

}  // namespace flotilla::payment
