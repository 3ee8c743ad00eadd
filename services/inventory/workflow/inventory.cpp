#include "inventory/workflow/inventory.h"

#include <memory>
#include <numeric>

#include "batch/flush_together.h"

namespace flotilla::inventory {
namespace {

// Requests are added to one transaction until it holds this many items.
constexpr std::size_t kItemsPerTransaction = 512;
constexpr std::size_t kItemsPerScript = 1024;

// A flush on a store of its own: `method` answers items, whole requests go together.
template <class Result, class Item>
auto OnStore(const postgres::Options& postgres, const char* worker,
             absl::StatusOr<std::vector<Result>> (HoldStore::*method)(std::span<const Item>)) {
  return [=](int) {
    return [method, store = std::make_shared<HoldStore>(postgres::Named(postgres, worker))](const auto& requests) {
      return batch::FlushTogether<Result>(requests, kItemsPerTransaction,
                                          [&](auto items) { return ((*store).*method)(items); });
    };
  };
}

std::vector<std::string> SkusOf(const ReserveCommand& command) {
  std::vector<std::string> skus;
  skus.reserve(command.lines.size());
  for (const Line& line : command.lines) skus.push_back(line.sku);
  return skus;
}

std::vector<ReserveCommand> Pick(const std::vector<ReserveCommand>& commands, const std::vector<std::size_t>& indexes) {
  std::vector<ReserveCommand> picked;
  picked.reserve(indexes.size());
  for (const std::size_t i : indexes) picked.push_back(commands[i]);
  return picked;
}

}  // namespace

Inventory::Inventory(const postgres::Options& postgres, const redis::Options& redis, Catalog& catalog, GateWriter& gate)
    : catalog_(catalog),
      gate_(gate),
      take_({.name = "gate", .max_batch = 1024, .max_queue = 8192},
            [&gate, redis](int) {
              return [stock = std::make_shared<StockGate>(redis, gate.memory())](const auto& requests) {
                return batch::FlushTogether<TakeResult>(requests, kItemsPerScript,
                                                        [&](auto items) { return stock->Take(items); });
              };
            }),
      reserve_({.name = "reserve", .max_batch = 512, .max_queue = 8192},
               OnStore(postgres, "reserve", &HoldStore::Reserve)),
      confirm_({.name = "confirm", .max_batch = 512, .max_queue = 8192},
               OnStore(postgres, "confirm", &HoldStore::Confirm)),
      release_({.name = "release", .max_batch = 512, .max_queue = 8192},
               OnStore(postgres, "release", &HoldStore::Release)),
      extend_({.name = "extend", .max_batch = 512, .max_queue = 8192},
              OnStore(postgres, "extend", &HoldStore::Extend)) {}

async::Task<Inventory::ReserveResults> Inventory::Reserve(std::vector<ReserveCommand> commands) {
  Progress progress;
  progress.results.assign(commands.size(), ReserveResult{});
  progress.taken.resize(commands.size());
  progress.open.resize(commands.size());
  std::iota(progress.open.begin(), progress.open.end(), std::size_t{0});
  co_await RefuseUnknown(commands, progress);
  const absl::Status passed = co_await PassGate(commands, progress);
  if (!passed.ok()) co_return ReserveResults(commands.size(), passed);
  if (!progress.passed.empty()) co_await Decide(commands, progress);
  co_return std::move(progress.results);
}

async::Task<void> Inventory::RefuseUnknown(const std::vector<ReserveCommand>& commands, Progress& progress) {
  std::vector<std::string> doubtful;
  for (const ReserveCommand& command : commands) {
    for (const Line& line : command.lines) {
      if (!catalog_.MayExist(line.sku)) doubtful.push_back(line.sku);
    }
  }
  if (doubtful.empty()) co_return;
  const std::vector<std::string> names = co_await catalog_.Unknown(std::move(doubtful));
  const std::set<std::string> unknown(names.begin(), names.end());
  std::erase_if(progress.open, [&](std::size_t i) {
    for (const Line& line : commands[i].lines) {
      if (!unknown.contains(line.sku)) continue;
      progress.results[i] = ReserveResult{.outcome = Outcome::kUnknownSku, .sku = line.sku};
      return true;
    }
    return false;
  });
}

// Asks the gate; a second time for SKUs that it had to learn first. Where it is silent, still ignorant or unsure, SQL
// alone decides.
async::Task<absl::Status> Inventory::PassGate(const std::vector<ReserveCommand>& commands, Progress& progress) {
  for (int round = 0; round < 2 && !progress.open.empty(); ++round) {
    const absl::StatusOr<std::vector<TakeResult>> taken = co_await take_.Call(Pick(commands, progress.open));
    if (!taken.ok()) {
      if (!absl::IsResourceExhausted(taken.status())) {
        // Units may be taken by a script whose answer was lost.
        for (const std::size_t i : progress.open) gate_.Suspect(SkusOf(commands[i]));
        break;
      }
      for (const std::size_t i : progress.passed) gate_.Suspect(progress.taken[i]);
      co_return taken.status();
    }
    std::vector<std::size_t> again;
    std::vector<std::string> missing;
    for (std::size_t n = 0; n < progress.open.size(); ++n) {
      const std::size_t i = progress.open[n];
      const TakeResult& take = (*taken)[n];
      switch (take.kind) {
        case TakeResult::Kind::kRefused:
          progress.results[i] = ReserveResult{.outcome = take.refusal, .sku = take.sku};
          break;
        case TakeResult::Kind::kMissing:
          again.push_back(i);
          missing.insert(missing.end(), take.missing.begin(), take.missing.end());
          break;
        case TakeResult::Kind::kTaken:
          progress.passed.push_back(i);
          progress.taken[i] = take.taken;
          break;
        case TakeResult::Kind::kUnsure:
          progress.passed.push_back(i);
          progress.unsure.insert(i);
      }
    }
    progress.open = std::move(again);
    if (round == 0 && !missing.empty()) co_await gate_.Load(std::move(missing));
  }
  progress.passed.insert(progress.passed.end(), progress.open.begin(), progress.open.end());
  co_return absl::OkStatus();
}

async::Task<void> Inventory::Decide(const std::vector<ReserveCommand>& commands, Progress& progress) {
  const absl::StatusOr<std::vector<ReserveResult>> reserved = co_await reserve_.Call(Pick(commands, progress.passed));
  Drift drift;
  for (std::size_t n = 0; n < progress.passed.size(); ++n) {
    const std::size_t i = progress.passed[n];
    const ReserveCommand& command = commands[i];
    if (!reserved.ok()) {
      // Unknown whether it was committed: the mark stays for the repeat, and the healer sees to the rest.
      progress.results[i] = reserved.status();
      gate_.Suspect(SkusOf(command));
      continue;
    }
    const ReserveResult& result = (*reserved)[n];
    progress.results[i] = result;
    const bool unsure = progress.unsure.contains(i);
    if (result.outcome == Outcome::kOutOfStock && !unsure) drift.short_skus.push_back(result.sku);
    if (result.outcome == Outcome::kPurchaseLimit) {
      drift.purchases.push_back({result.sku, command.user_id, result.purchased});
    }
    const bool holds = result.outcome == Outcome::kOk;
    std::vector<std::string>& taken = progress.taken[i];
    if (!taken.empty() && (!holds || result.repeated)) {
      gate_.Suspect(taken);  // the write may fail; and who took first for a repeat is not known for sure
      (holds ? drift.surplus : drift.give_back).push_back({command.order_id, std::move(taken)});
    }
    if (holds && result.renewed) {
      for (const Line& line : command.lines) drift.doubtful.push_back(line.sku);
    }
    if (holds && !result.repeated && unsure) {  // against the gate's word, so it must hear of it
      for (const Line& line : command.lines) drift.short_skus.push_back(line.sku);
    }
  }
  // Both before the answer: who was refused may ask again, and the marks of that call must not be given back then. And
  // who came back after the hold had expired holds units again, while the old hold's mark may still be on its way back.
  if (!drift.give_back.empty()) co_await gate_.Give(std::move(drift.give_back));
  if (!drift.doubtful.empty()) co_await gate_.Doubt(std::move(drift.doubtful));
  if (!drift.surplus.empty() || !drift.short_skus.empty() || !drift.purchases.empty()) {
    async::Start(Correct(std::move(drift)));
  }
}

// The caller need not wait for the gate to learn this.
async::Task<void> Inventory::Correct(Drift drift) {
  gate_.Suspect(drift.short_skus);
  if (!drift.surplus.empty()) co_await gate_.GiveSurplus(std::move(drift.surplus));
  if (!drift.purchases.empty()) co_await gate_.Learn(std::move(drift.purchases));
  if (!drift.short_skus.empty()) co_await gate_.Lower(std::move(drift.short_skus));
}

async::Task<absl::StatusOr<std::vector<Outcome>>> Inventory::Confirm(std::vector<std::string> order_ids) {
  return confirm_.Call(std::move(order_ids));
}

async::Task<absl::StatusOr<std::vector<Outcome>>> Inventory::Release(std::vector<ReleaseCommand> commands) {
  absl::StatusOr<std::vector<ReleaseResult>> released = co_await release_.Call(std::move(commands));
  if (!released.ok()) co_return released.status();
  std::vector<Outcome> outcomes;
  std::vector<Returned> returned;
  for (ReleaseResult& result : *released) {
    outcomes.push_back(result.outcome);
    if (result.returned.skus.empty()) continue;
    // Where the mark is gone (a late return), the healer raises the gate.
    gate_.Suspect(result.returned.skus);
    returned.push_back(std::move(result.returned));
  }
  // Waited for, so that who released can reserve again at once.
  if (!returned.empty()) co_await gate_.Give(std::move(returned));
  co_return outcomes;
}

async::Task<absl::StatusOr<ExtendResult>> Inventory::Extend(ExtendCommand command) {
  const std::vector<ExtendCommand> commands = {command};
  absl::StatusOr<std::vector<ExtendResult>> results = co_await extend_.Call(commands);
  if (!results.ok()) co_return results.status();
  ExtendResult result = std::move(results->front());
  if (result.outcome == Outcome::kOk) co_await gate_.Extend(command.order_id, result.hold.lines, command.hold);
  co_return result;
}

}  // namespace flotilla::inventory
