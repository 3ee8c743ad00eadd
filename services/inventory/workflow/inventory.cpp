#include "inventory/workflow/inventory.h"

#include <memory>

#include "batch/flush_together.h"

namespace flotilla::inventory {
namespace {

// Requests are added to one transaction until it holds this many items.
constexpr std::size_t kItemsPerTransaction = 512;
constexpr std::size_t kItemsPerScript = 1024;

}  // namespace

Inventory::Inventory(const postgres::Options& postgres, const redis::Options& redis)
    : take_({.name = "gate", .max_batch = 1024, .max_queue = 8192},
            [redis](int) {
              return [gate = std::make_shared<StockGate>(redis)](const auto& requests) {
                return batch::FlushTogether<TakeResult>(requests, kItemsPerScript,
                                                        [&](auto items) { return gate->Take(items); });
              };
            }),
      gate_({.name = "gate writes", .max_batch = 1024},
            [redis](int) {
              return [gate = std::make_shared<StockGate>(redis)](const std::vector<GateWrite>& writes) {
                return WriteGate(*gate, writes);
              };
            }),
      reserve_(
          {.name = "reserve", .max_batch = 512, .max_queue = 8192},
          [postgres](int) {
            return [store = std::make_shared<StockStore>(postgres::Named(postgres, "reserve"))](const auto& requests) {
              return batch::FlushTogether<ReserveResult>(requests, kItemsPerTransaction,
                                                         [&](auto items) { return store->Reserve(items); });
            };
          }),
      confirm_(
          {.name = "confirm", .max_batch = 512, .max_queue = 8192},
          [postgres](int) {
            return [store = std::make_shared<StockStore>(postgres::Named(postgres, "confirm"))](const auto& requests) {
              return batch::FlushTogether<Outcome>(requests, kItemsPerTransaction,
                                                   [&](auto items) { return store->Confirm(items); });
            };
          }),
      release_(
          {.name = "release", .max_batch = 512, .max_queue = 8192},
          [postgres](int) {
            return [store = std::make_shared<StockStore>(postgres::Named(postgres, "release"))](const auto& requests) {
              return batch::FlushTogether<ReleaseResult>(requests, kItemsPerTransaction,
                                                         [&](auto items) { return store->Release(items); });
            };
          }),
      admin_({.name = "admin", .max_batch = 64},
             [postgres](int) {
               return [store = std::make_shared<StockStore>(postgres::Named(postgres, "admin"))](
                          const std::vector<AdminCommand>& commands) {
                 std::vector<absl::StatusOr<AdminResult>> results;
                 for (const AdminCommand& command : commands) {
                   if (const auto* put = std::get_if<PutSkuCommand>(&command)) {
                     auto result = store->Put(*put);
                     results.push_back(result.ok() ? absl::StatusOr<AdminResult>(*result) : result.status());
                   } else {
                     auto result = store->Adjust(std::get<AdjustCommand>(command));
                     results.push_back(result.ok() ? absl::StatusOr<AdminResult>(*result) : result.status());
                   }
                 }
                 return results;
               };
             }),
      read_({.name = "read"}, [postgres](int) {
        return [store = std::make_shared<StockStore>(postgres::Named(postgres, "read"))](
                   const std::vector<std::vector<std::string>>& requests) {
          std::vector<std::string> skus;
          for (const auto& request : requests) skus.insert(skus.end(), request.begin(), request.end());
          return std::vector<absl::StatusOr<std::map<std::string, Sku>>>(requests.size(), store->Read(skus));
        };
      }) {}

async::Task<std::vector<absl::StatusOr<ReserveResult>>> Inventory::Reserve(std::vector<ReserveCommand> commands) {
  std::vector<absl::StatusOr<ReserveResult>> results(commands.size(), ReserveResult{});
  std::vector<std::size_t> open(commands.size());  // not yet answered, by index
  for (std::size_t i = 0; i < open.size(); ++i) open[i] = i;

  // The gate; a second time for SKUs that it had to learn first. Where it is silent or still ignorant, SQL alone
  // decides.
  std::vector<std::size_t> passed;
  std::vector<std::vector<std::string>> taken_skus(commands.size());  // what the gate gave in this call
  for (int round = 0; round < 2 && !open.empty(); ++round) {
    std::vector<ReserveCommand> asked;
    for (const std::size_t i : open) asked.push_back(commands[i]);
    const absl::StatusOr<std::vector<TakeResult>> taken = co_await take_.Call(std::move(asked));
    if (!taken.ok()) {
      if (absl::IsResourceExhausted(taken.status())) {
        for (const std::size_t i : passed) Suspect(taken_skus[i]);
        co_return std::vector<absl::StatusOr<ReserveResult>>(commands.size(), taken.status());
      }
      break;
    }
    std::vector<std::size_t> again;
    std::vector<std::string> missing;
    for (std::size_t n = 0; n < open.size(); ++n) {
      const TakeResult& take = (*taken)[n];
      if (take.kind == TakeResult::Kind::kRefused) {
        results[open[n]] = ReserveResult{Outcome::kOutOfStock, take.sku, {}, false};
      } else if (take.kind == TakeResult::Kind::kMissing) {
        again.push_back(open[n]);
        missing.insert(missing.end(), take.missing.begin(), take.missing.end());
      } else {
        passed.push_back(open[n]);
        taken_skus[open[n]] = take.taken;
      }
    }
    open = std::move(again);
    if (round == 0 && !missing.empty()) co_await LoadGate(std::move(missing));
  }
  passed.insert(passed.end(), open.begin(), open.end());
  if (passed.empty()) co_return results;

  std::vector<ReserveCommand> asked;
  for (const std::size_t i : passed) asked.push_back(commands[i]);
  const absl::StatusOr<std::vector<ReserveResult>> reserved = co_await reserve_.Call(std::move(asked));
  std::vector<Returned> give_back;
  std::vector<std::string> short_skus;
  for (std::size_t n = 0; n < passed.size(); ++n) {
    const std::size_t i = passed[n];
    if (!reserved.ok()) {
      // Unknown whether it was committed: the mark stays for the repeat, and the healer sees to the rest.
      results[i] = reserved.status();
      for (const Line& line : commands[i].lines) short_skus.push_back(line.sku);
      continue;
    }
    const ReserveResult& result = (*reserved)[n];
    results[i] = result;
    if (result.outcome == Outcome::kOutOfStock) short_skus.push_back(result.sku);
    // A repeat reserved nothing now, whatever its outcome: its mark had run out, or it came with another body.
    const bool reserved_now = result.outcome == Outcome::kOk && !result.repeated;
    if (!reserved_now && !taken_skus[i].empty()) give_back.push_back({commands[i].order_id, std::move(taken_skus[i])});
  }
  if (!give_back.empty() || !short_skus.empty()) async::Start(Refused(std::move(give_back), std::move(short_skus)));
  co_return results;
}

// The gate let through what SQL refused: it has drifted. The caller need not wait for it to learn better.
async::Task<void> Inventory::Refused(std::vector<Returned> given_back, std::vector<std::string> short_skus) {
  Suspect(short_skus);
  if (!given_back.empty()) (co_await gate_.Call(GiveCommand{std::move(given_back)})).status().IgnoreError();
  if (short_skus.empty()) co_return;
  const absl::StatusOr<std::map<std::string, Sku>> skus = co_await read_.Call(std::move(short_skus));
  if (!skus.ok()) co_return;
  LowerCommand lower;
  for (const auto& [name, sku] : *skus) lower.stock.emplace_back(name, sku.available);
  if (!lower.stock.empty()) (co_await gate_.Call(std::move(lower))).status().IgnoreError();
}

async::Task<void> Inventory::LoadGate(std::vector<std::string> skus) {
  const absl::StatusOr<std::map<std::string, Sku>> found = co_await read_.Call(std::move(skus));
  if (!found.ok()) co_return;  // SQL will tell the caller so itself
  LoadCommand load;
  for (const auto& [name, sku] : *found) load.stock.emplace_back(name, sku.available);
  if (!load.stock.empty()) (co_await gate_.Call(std::move(load))).status().IgnoreError();
}

async::Task<absl::StatusOr<std::vector<Outcome>>> Inventory::Confirm(std::vector<std::string> order_ids) {
  return confirm_.Call(std::move(order_ids));
}

async::Task<absl::StatusOr<std::vector<Outcome>>> Inventory::Release(std::vector<ReleaseCommand> commands) {
  const std::vector<ReleaseCommand> asked = commands;
  const absl::StatusOr<std::vector<ReleaseResult>> released = co_await release_.Call(std::move(commands));
  if (!released.ok()) co_return released.status();
  std::vector<Outcome> outcomes;
  GiveCommand give;
  for (std::size_t i = 0; i < released->size(); ++i) {
    outcomes.push_back((*released)[i].outcome);
    if ((*released)[i].skus.empty()) continue;
    // Where the mark is gone (a late return), the healer raises the gate.
    Suspect((*released)[i].skus);
    give.returned.push_back({asked[i].order_id, (*released)[i].skus});
  }
  // Waited for, so that who released can reserve again at once.
  if (!give.returned.empty()) (co_await gate_.Call(std::move(give))).status().IgnoreError();
  co_return outcomes;
}

async::Task<absl::StatusOr<Sku>> Inventory::Put(PutSkuCommand command) {
  absl::StatusOr<AdminResult> result = co_await admin_.Call(std::move(command));
  if (!result.ok()) co_return result.status();
  co_return std::get<Sku>(*std::move(result));
}

async::Task<absl::StatusOr<AdjustResult>> Inventory::Adjust(AdjustCommand command) {
  const AdjustCommand asked = command;
  absl::StatusOr<AdminResult> result = co_await admin_.Call(std::move(command));
  if (!result.ok()) co_return result.status();
  AdjustResult adjusted = std::get<AdjustResult>(*std::move(result));
  if (adjusted.outcome == AdjustOutcome::kDone) {
    Suspect({asked.sku});
    (co_await gate_.Call(AddCommand{asked.sku, asked.delta})).status().IgnoreError();
  }
  co_return adjusted;
}

async::Task<absl::StatusOr<std::optional<Sku>>> Inventory::Read(std::string sku) {
  const absl::StatusOr<std::map<std::string, Sku>> found = co_await read_.Call(std::vector<std::string>{sku});
  if (!found.ok()) co_return found.status();
  const auto it = found->find(sku);
  co_return it == found->end() ? std::nullopt : std::optional<Sku>(it->second);
}

std::set<std::string> Inventory::TakeSuspects() {
  std::lock_guard lock(mutex_);
  return std::exchange(suspects_, {});
}

void Inventory::Suspect(const std::vector<std::string>& skus) {
  std::lock_guard lock(mutex_);
  suspects_.insert(skus.begin(), skus.end());
}

std::vector<absl::StatusOr<Inventory::Nothing>> Inventory::WriteGate(StockGate& gate,
                                                                     const std::vector<GateWrite>& writes) {
  // Gives are the many; they go as one.
  std::vector<Returned> returned;
  for (const GateWrite& write : writes) {
    if (const auto* give = std::get_if<GiveCommand>(&write)) {
      returned.insert(returned.end(), give->returned.begin(), give->returned.end());
    }
  }
  const absl::Status given = gate.Give(returned);
  std::vector<absl::StatusOr<Nothing>> results;
  for (const GateWrite& write : writes) {
    absl::Status status = given;
    if (const auto* load = std::get_if<LoadCommand>(&write)) status = gate.Load(load->stock);
    if (const auto* lower = std::get_if<LowerCommand>(&write)) status = gate.LowerTo(lower->stock);
    if (const auto* add = std::get_if<AddCommand>(&write)) status = gate.Add(add->sku, add->delta);
    results.push_back(status.ok() ? absl::StatusOr<Nothing>(Nothing{}) : status);
  }
  return results;
}

}  // namespace flotilla::inventory
