#include "inventory/gate/stock_gate.h"

#include "absl/strings/numbers.h"
#include "inventory/gate/keys.h"
#include "inventory/gate/scripts.h"

namespace flotilla::inventory {
namespace {

absl::Status FirstError(const std::vector<redis::Reply>& replies) {
  for (const redis::Reply& reply : replies) {
    if (reply.error()) return absl::UnavailableError(std::get<absl::Status>(reply.value).message());
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status StockGate::Give(std::span<const Returned> returned) {
  std::vector<redis::Client::Invocation> invocations;
  for (const Returned& item : returned) {
    for (const std::string& sku : item.skus) {
      invocations.push_back({{StockKey(sku), MarkKey(sku, item.order_id), UsersKey(sku)}, {item.limited_user}});
    }
  }
  const absl::Status status = Run(GiveScript(), invocations);
  for (const Returned& item : returned) {
    for (const std::string& sku : item.skus) memory_.sold_out.Clear(sku);
  }
  return status;
}

absl::Status StockGate::Load(std::span<const Supply> supplies) {
  std::vector<redis::Client::Invocation> invocations;
  for (const Supply& supply : supplies) {
    invocations.push_back({{StockKey(supply.sku), YoungKey(supply.sku)},
                           {std::to_string(supply.available), supply.has_orders ? Seconds(kYouth) : "0"}});
  }
  return Run(LoadScript(), invocations);
}

absl::Status StockGate::LowerTo(std::span<const std::pair<std::string, std::int64_t>> stock) {
  std::vector<redis::Client::Invocation> invocations;
  for (const auto& [sku, units] : stock) invocations.push_back({{StockKey(sku)}, {std::to_string(units)}});
  return Run(LowerScript(), invocations);
}

absl::Status StockGate::Add(const std::string& sku, std::int64_t delta) {
  const redis::Client::Invocation invocation{{StockKey(sku)}, {std::to_string(delta)}};
  const absl::Status status = Run(AddScript(), {&invocation, 1});
  memory_.sold_out.Clear(sku);
  return status;
}

absl::Status StockGate::Learn(std::span<const Purchase> purchases) {
  std::vector<redis::Client::Invocation> invocations;
  for (const Purchase& purchase : purchases) {
    invocations.push_back(
        {{UsersKey(purchase.sku)}, {purchase.user_id, std::to_string(purchase.units), Seconds(kUsersLife)}});
  }
  return Run(LearnScript(), invocations);
}

absl::Status StockGate::Extend(const std::string& order_id, std::span<const Line> lines, absl::Duration hold) {
  std::vector<redis::Command> commands;
  for (const Line& line : lines) {
    commands.push_back({"EXPIRE", MarkKey(line.sku, order_id), Seconds(hold + kMarkMargin), "GT"});
  }
  const absl::StatusOr<std::vector<redis::Reply>> replies = client_.Pipeline(commands);
  return replies.ok() ? FirstError(*replies) : replies.status();
}

absl::StatusOr<std::vector<std::optional<std::int64_t>>> StockGate::Read(std::span<const std::string> skus) {
  std::vector<redis::Command> commands;
  for (const std::string& sku : skus) commands.push_back({"GET", StockKey(sku)});
  std::vector<std::optional<std::int64_t>> out;
  if (commands.empty()) return out;
  const absl::StatusOr<std::vector<redis::Reply>> replies = client_.Pipeline(commands);
  if (!replies.ok()) return replies.status();
  if (auto status = FirstError(*replies); !status.ok()) return status;
  for (const redis::Reply& reply : *replies) {
    std::int64_t units = 0;
    if (!reply.nil() && absl::SimpleAtoi(reply.string(), &units)) {
      out.emplace_back(units);
    } else {
      out.emplace_back(std::nullopt);
    }
  }
  return out;
}

absl::Status StockGate::Correct(std::span<const Correction> corrections) {
  std::vector<redis::Client::Invocation> invocations;
  for (const Correction& correction : corrections) {
    invocations.push_back(
        {{StockKey(correction.sku)}, {std::to_string(correction.expected), std::to_string(correction.stock)}});
  }
  const absl::Status status = Run(CorrectScript(), invocations);
  for (const Correction& correction : corrections) memory_.sold_out.Clear(correction.sku);
  return status;
}

absl::Status StockGate::Run(const redis::Script& script, std::span<const redis::Client::Invocation> invocations) {
  if (invocations.empty()) return absl::OkStatus();
  const absl::StatusOr<std::vector<redis::Reply>> replies = client_.Eval(script, invocations);
  return replies.ok() ? FirstError(*replies) : replies.status();
}

}  // namespace flotilla::inventory
