#include "inventory/gate/stock_gate.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/numbers.h"
#include "inventory/gate/keys.h"
#include "inventory/gate/scripts.h"
#include "inventory/gate/segments.h"

namespace flotilla::inventory {
namespace {

absl::Status FirstError(const std::vector<redis::Reply>& replies) {
  for (const redis::Reply& reply : replies) {
    if (reply.error()) return absl::UnavailableError(std::get<absl::Status>(reply.value).message());
  }
  return absl::OkStatus();
}

// All segments of a SKU; nothing where one is not known: their sum would say nothing.
std::optional<std::vector<std::int64_t>> Whole(const std::vector<std::optional<std::int64_t>>& segments) {
  std::vector<std::int64_t> stock;
  for (const auto& units : segments) {
    if (!units.has_value()) return std::nullopt;
    stock.push_back(*units);
  }
  return stock;
}

std::int64_t Sum(const std::vector<std::int64_t>& stock) {
  return std::accumulate(stock.begin(), stock.end(), std::int64_t{0});
}

// Calls of `script` for the segments that differ; `args` are made of the stock before and after.
template <class Args>
void AddChanges(const std::string& sku, const std::vector<std::int64_t>& before, const std::vector<std::int64_t>& after,
                Args args, std::vector<redis::Client::Invocation>& invocations) {
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] == after[i]) continue;
    invocations.push_back({{StockKey(sku, static_cast<int>(i))}, args(before[i], after[i])});
  }
}

}  // namespace

absl::Status StockGate::Give(std::span<const Returned> returned) { return Return(returned, "drop"); }

absl::Status StockGate::GiveSurplus(std::span<const Returned> surplus) { return Return(surplus, "keep"); }

absl::Status StockGate::Return(std::span<const Returned> returned, const std::string& what_of_marks) {
  std::vector<redis::Client::Invocation> invocations;
  for (const Returned& item : returned) {
    for (const std::string& sku : item.skus) {
      for (int i = 0; i < memory_.segments; ++i) {
        invocations.push_back(
            {{StockKey(sku, i), MarkKey(sku, i, item.order_id), UsersKey(sku, i)}, {item.limited_user, what_of_marks}});
      }
    }
  }
  const absl::Status status = Run(GiveScript(), invocations);
  for (const Returned& item : returned) {
    for (const std::string& sku : item.skus) memory_.sold_out.Clear(sku);
  }
  return status;
}

absl::Status StockGate::Doubt(std::span<const std::string> skus) { return SetYoung(skus, {"EX", Seconds(kYouth)}); }

// Does not prolong a doubt: while it lasts, SQL gives out units that come back before the gate has heard of them, which
// is reason enough to lower it, and so would make it last for ever.
absl::Status StockGate::DoubtOnce(std::span<const std::string> skus) {
  return SetYoung(skus, {"NX", "EX", Seconds(kYouth)});
}

absl::Status StockGate::SetYoung(std::span<const std::string> skus, const redis::Command& options) {
  std::vector<redis::Command> commands;
  for (const std::string& sku : skus) {
    for (int i = 0; i < memory_.segments; ++i) {
      redis::Command& set = commands.emplace_back(redis::Command{"SET", YoungKey(sku, i), "1"});
      set.insert(set.end(), options.begin(), options.end());
    }
  }
  return RunAll(commands);
}

absl::Status StockGate::Load(std::span<const Supply> supplies) {
  std::vector<Segments> known(supplies.size(), Segments(1));
  if (memory_.segments > 1) {
    std::vector<std::string> skus;
    for (const Supply& supply : supplies) skus.push_back(supply.sku);
    absl::StatusOr<std::vector<Segments>> read = ReadSegments(skus);
    if (!read.ok()) return read.status();
    known = *std::move(read);
  }
  std::vector<redis::Client::Invocation> invocations;
  std::vector<std::string> doubtful;
  for (std::size_t n = 0; n < supplies.size(); ++n) {
    const Supply& supply = supplies[n];
    std::vector<int> missing;
    std::int64_t left = supply.available;
    for (int i = 0; i < memory_.segments; ++i) {
      const auto& units = known[n][static_cast<std::size_t>(i)];
      if (!units.has_value()) missing.push_back(i);
      left -= units.value_or(0);
    }
    const std::string youth = supply.has_orders ? Seconds(kYouth) : "0";
    const std::vector<std::int64_t> shares =
        Spread(std::max<std::int64_t>(left, 0), std::max<std::size_t>(missing.size(), 1));
    for (std::size_t i = 0; i < missing.size(); ++i) {
      invocations.push_back(
          {{StockKey(supply.sku, missing[i]), YoungKey(supply.sku, missing[i])}, {std::to_string(shares[i]), youth}});
    }
    // Parts of orders at home elsewhere are forgotten, too: what they return will be missing.
    if (memory_.segments > 1 && !missing.empty() && supply.has_orders) doubtful.push_back(supply.sku);
  }
  if (auto status = Doubt(doubtful); !status.ok()) return status;
  return Run(LoadScript(), invocations);
}

absl::Status StockGate::LowerTo(std::span<const std::pair<std::string, std::int64_t>> stock) {
  std::vector<std::string> skus;
  for (const auto& [sku, units] : stock) skus.push_back(sku);
  const absl::StatusOr<std::vector<Segments>> known = ReadSegments(skus);
  if (!known.ok()) return known.status();
  std::vector<std::string> lowered;
  std::vector<redis::Client::Invocation> invocations;
  for (std::size_t n = 0; n < skus.size(); ++n) {
    const auto before = Whole((*known)[n]);
    if (!before.has_value() || Sum(*before) <= stock[n].second) continue;
    lowered.push_back(skus[n]);
    AddChanges(
        skus[n], *before, Changed(*before, stock[n].second - Sum(*before)),
        [](std::int64_t, std::int64_t after) { return std::vector{std::to_string(after)}; }, invocations);
  }
  if (auto status = DoubtOnce(lowered); !status.ok()) return status;
  return Run(LowerScript(), invocations);
}

absl::Status StockGate::Add(const std::string& sku, std::int64_t delta) {
  const absl::StatusOr<std::vector<Segments>> known = ReadSegments({&sku, 1});
  if (!known.ok()) return known.status();
  std::vector<redis::Client::Invocation> invocations;
  if (const auto before = Whole(known->front()); before.has_value()) {
    AddChanges(
        sku, *before, Changed(*before, delta),
        [](std::int64_t from, std::int64_t to) { return std::vector{std::to_string(to - from)}; }, invocations);
  }
  const absl::Status status = Run(AddScript(), invocations);
  memory_.sold_out.Clear(sku);
  return status;
}

absl::Status StockGate::Learn(std::span<const Purchase> purchases) {
  std::vector<redis::Client::Invocation> invocations;
  for (const Purchase& purchase : purchases) {
    invocations.push_back({{UsersKey(purchase.sku, SegmentOf(purchase.user_id, memory_.segments))},
                           {purchase.user_id, std::to_string(purchase.units), Seconds(kUsersLife)}});
  }
  return Run(LearnScript(), invocations);
}

absl::Status StockGate::Extend(const std::string& order_id, std::span<const Line> lines, absl::Duration hold) {
  std::vector<redis::Command> commands;
  for (const Line& line : lines) {
    for (int i = 0; i < memory_.segments; ++i) {
      commands.push_back({"EXPIRE", MarkKey(line.sku, i, order_id), Seconds(hold + kMarkMargin), "GT"});
    }
  }
  return RunAll(commands);
}

absl::StatusOr<std::vector<std::optional<std::int64_t>>> StockGate::Read(std::span<const std::string> skus) {
  const absl::StatusOr<std::vector<Segments>> known = ReadSegments(skus);
  if (!known.ok()) return known.status();
  std::vector<std::optional<std::int64_t>> out;
  for (const Segments& segments : *known) {
    const auto stock = Whole(segments);
    out.push_back(stock.has_value() ? std::optional(Sum(*stock)) : std::nullopt);
  }
  return out;
}

absl::Status StockGate::Correct(std::span<const Correction> corrections) {
  std::vector<std::string> skus;
  for (const Correction& correction : corrections) skus.push_back(correction.sku);
  const absl::StatusOr<std::vector<Segments>> known = ReadSegments(skus);
  if (!known.ok()) return known.status();
  std::vector<std::string> lowered;
  std::vector<redis::Client::Invocation> invocations;
  for (std::size_t n = 0; n < skus.size(); ++n) {
    const auto before = Whole((*known)[n]);
    if (!before.has_value() || Sum(*before) != corrections[n].expected) continue;
    if (corrections[n].stock < corrections[n].expected) lowered.push_back(skus[n]);
    AddChanges(
        skus[n], *before, Changed(*before, corrections[n].stock - corrections[n].expected),
        [](std::int64_t from, std::int64_t to) { return std::vector{std::to_string(from), std::to_string(to)}; },
        invocations);
  }
  if (auto status = DoubtOnce(lowered); !status.ok()) return status;
  const absl::Status status = Run(CorrectScript(), invocations);
  for (const Correction& correction : corrections) memory_.sold_out.Clear(correction.sku);
  return status;
}

absl::StatusOr<std::vector<StockGate::Segments>> StockGate::ReadSegments(std::span<const std::string> skus) {
  std::vector<redis::Command> commands;
  for (const std::string& sku : skus) {
    for (int i = 0; i < memory_.segments; ++i) commands.push_back({"GET", StockKey(sku, i)});
  }
  std::vector<Segments> out(skus.size());
  if (commands.empty()) return out;
  const absl::StatusOr<std::vector<redis::Reply>> replies = client_.Pipeline(commands);
  if (!replies.ok()) return replies.status();
  if (auto status = FirstError(*replies); !status.ok()) return status;
  for (std::size_t i = 0; i < replies->size(); ++i) {
    const redis::Reply& reply = (*replies)[i];
    std::int64_t units = 0;
    const bool known = !reply.nil() && absl::SimpleAtoi(reply.string(), &units);
    out[i / static_cast<std::size_t>(memory_.segments)].push_back(known ? std::optional(units) : std::nullopt);
  }
  return out;
}

absl::Status StockGate::Run(const redis::Script& script, std::span<const redis::Client::Invocation> invocations) {
  if (invocations.empty()) return absl::OkStatus();
  const absl::StatusOr<std::vector<redis::Reply>> replies = client_.Eval(script, invocations);
  return replies.ok() ? FirstError(*replies) : replies.status();
}

absl::Status StockGate::RunAll(std::span<const redis::Command> commands) {
  if (commands.empty()) return absl::OkStatus();
  const absl::StatusOr<std::vector<redis::Reply>> replies = client_.Pipeline(commands);
  return replies.ok() ? FirstError(*replies) : replies.status();
}

}  // namespace flotilla::inventory
