#include "inventory/workflow/stock_keeping.h"

#include <memory>

namespace flotilla::inventory {

StockKeeping::StockKeeping(const postgres::Options& postgres, const redis::Options& redis, GateWriter& gate)
    : gate_(gate), jobs_({.name = "admin", .max_batch = 64, .max_queue = 1024}, [&gate, postgres, redis](int) {
        auto stores = std::make_shared<Stores>(postgres::Named(postgres, "admin"), redis, gate.memory());
        return [stores](const std::vector<Job>& jobs) {
          for (const Job& job : jobs) job(*stores);
          return std::vector<absl::StatusOr<Done>>(jobs.size(), Done{});
        };
      }) {}

// The job writes its result into this coroutine's frame, which waits for it.
template <class Result>
async::Task<absl::StatusOr<Result>> StockKeeping::Run(std::function<absl::StatusOr<Result>(Stores&)> work) {
  absl::StatusOr<Result> result = absl::UnknownError("not run");
  const Job job = [&result, &work](Stores& stores) { result = work(stores); };
  const absl::StatusOr<Done> done = co_await jobs_.Call(job);
  if (!done.ok()) co_return done.status();
  co_return result;
}

async::Task<absl::StatusOr<StockKeeping::PutResults>> StockKeeping::Put(std::vector<PutSkuCommand> commands) {
  return Run<PutResults>([commands = std::move(commands)](Stores& stores) { return stores.skus.Put(commands); });
}

async::Task<absl::StatusOr<AdjustResult>> StockKeeping::Adjust(AdjustCommand command) {
  const absl::StatusOr<AdjustResult> result =
      co_await Run<AdjustResult>([command](Stores& stores) { return stores.movements.Adjust(command); });
  if (!result.ok()) {
    gate_.Suspect({command.sku});  // unknown whether it was committed
    co_return result;
  }
  if (result->outcome == AdjustOutcome::kDone) {
    gate_.Suspect({command.sku});
    co_await gate_.Add(command.sku, command.delta);
  }
  co_return result;
}

async::Task<absl::StatusOr<std::vector<Movement>>> StockKeeping::ListMovements(MovementQuery query) {
  return Run<std::vector<Movement>>(
      [query = std::move(query)](Stores& stores) { return stores.movements.List(query); });
}

async::Task<absl::StatusOr<std::vector<Sku>>> StockKeeping::List(SkuQuery query) {
  return Run<std::vector<Sku>>([query = std::move(query)](Stores& stores) { return stores.skus.List(query); });
}

async::Task<absl::StatusOr<std::vector<Comparison>>> StockKeeping::Compare(SkuQuery query) {
  return Run<std::vector<Comparison>>([query = std::move(query)](Stores& stores) { return stores.Compare(query); });
}

absl::StatusOr<std::vector<Comparison>> StockKeeping::Stores::Compare(const SkuQuery& query) {
  const absl::StatusOr<std::vector<Sku>> listed = skus.List(query);
  if (!listed.ok()) return listed.status();
  std::vector<std::string> names;
  names.reserve(listed->size());
  for (const Sku& sku : *listed) names.push_back(sku.sku);
  const auto known = gate.Read(names);
  if (!known.ok()) return known.status();
  std::vector<Comparison> comparisons;
  comparisons.reserve(listed->size());
  for (std::size_t i = 0; i < listed->size(); ++i) {
    comparisons.push_back({names[i], (*listed)[i].available, (*known)[i]});
  }
  return comparisons;
}

}  // namespace flotilla::inventory
