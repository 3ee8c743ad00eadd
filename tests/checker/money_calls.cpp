#include "checker/money_calls.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "checker/payment_sql.h"

namespace flotilla::checker {
namespace {

// What the ledger did for one call of an order.
struct Effect {
  std::int64_t amount = 0;
  std::string payer;  // of a charge or an authorization
};
using CallKey = std::pair<std::string, std::string>;  // op, refund id
using Effects = std::map<CallKey, Effect>;

const CallKey kVoid = {"void", ""};
const CallKey kRefundAll = {"refund", ""};

std::string NameOf(const std::string& order_id, const CallKey& call) {
  return absl::StrCat(call.first, call.second.empty() ? "" : " ", call.second, " of order ", order_id, ": ");
}

// Calls of one key that were asked again share one effect. What is wrong with it, or "".
std::string Judge(const std::vector<const MoneyCall*>& calls, const Effect& effect) {
  const MoneyCall* told = nullptr;
  bool open = false;   // a call whose fate is not known
  bool asked = false;  // for this amount
  std::int64_t invoked = 0, fated = 0;
  for (const MoneyCall* call : calls) {
    ++(call->fate == Fate::kInvoke ? invoked : fated);
    open = open || call->fate == Fate::kUnknown;
    asked = asked || call->amount == 0 || call->amount == effect.amount;
    if (!effect.payer.empty() && call->user != effect.payer) {
      return absl::StrCat("user ", call->user, " asked, ", effect.payer, " paid");
    }
    if (call->fate != Fate::kOk) continue;
    if (told != nullptr && told->moved != call->moved) {
      return absl::StrCat("clients were told ", told->moved, " and ", call->moved);
    }
    told = call;
  }
  if (told != nullptr) {
    if (told->moved == effect.amount) return "";
    return absl::StrCat("the client was told ", told->moved, ", the ledger has ", effect.amount);
  }
  if (effect.amount == 0) return "";
  if (!open && invoked <= fated) return absl::StrCat("was refused, but the ledger has ", effect.amount);
  return asked ? "" : absl::StrCat("the ledger has ", effect.amount, ", which was not asked for");
}

void JudgeOrder(const std::string& order_id, const std::vector<MoneyCall>& calls, const Effects& effects,
                Report& report) {
  std::map<CallKey, std::vector<const MoneyCall*>> by_key;
  for (const MoneyCall& call : calls) by_key[{call.op, call.key}].push_back(&call);
  for (const auto& [key, same] : by_key) {
    const bool answered = std::any_of(same.begin(), same.end(), [](const auto* c) { return c->fate == Fate::kOk; });
    // What is released need not be this void's: a capture of a part releases the rest, and so does a hold's expiry.
    if (key == kVoid && !answered) continue;
    auto effect = effects.find(key);
    // A refund without an id voids what was not captured.
    if (effect == effects.end() && key == kRefundAll) effect = effects.find(kVoid);
    const std::string what = Judge(same, effect == effects.end() ? Effect() : effect->second);
    if (!what.empty()) report.Violate(Promise::kLedger, absl::StrCat(NameOf(order_id, key), what));
  }
  for (const auto& [key, effect] : effects) {
    if (key == kVoid || by_key.contains(key)) continue;
    report.Violate(Promise::kLedger, absl::StrCat(NameOf(order_id, key), effect.amount, " that nobody asked for"));
  }
}

}  // namespace

void CheckMoneyCalls(const ClientLog& log, Snapshot& payment, bool complete, Report& report) {
  std::map<std::string, Effects> ledger;
  payment.Stream(sql::kMoneyEffects, [&](const pqxx::row& row) {
    const std::string order_id = row[0].c_str();
    if (!complete && !log.money.contains(order_id)) return;
    ledger[order_id][{row[1].c_str(), row[2].c_str()}] = {row[3].as<std::int64_t>(), row[4].c_str()};
  });
  std::int64_t calls = 0;
  for (const auto& [order_id, of_order] : log.money) {
    JudgeOrder(order_id, of_order, ledger[order_id], report);
    calls += std::count_if(of_order.begin(), of_order.end(), [](const auto& c) { return c.fate == Fate::kInvoke; });
  }
  for (const auto& [order_id, effects] : ledger) {
    if (!log.money.contains(order_id)) JudgeOrder(order_id, {}, effects, report);
  }
  report.Judged(Promise::kLedger, calls, "calls of clients");
}

}  // namespace flotilla::checker
