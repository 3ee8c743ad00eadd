#include "inventory/workflow/gate_writer.h"

#include <memory>
#include <utility>

namespace flotilla::inventory {
namespace {

constexpr std::size_t kMostSuspects = 100000;

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

}  // namespace

GateWriter::GateWriter(const redis::Options& redis, SkuReader& reader, int segments,
                       std::function<absl::Time()> database_time)
    : reader_(reader),
      memory_(segments, std::move(database_time)),
      writes_({.name = "gate writes", .max_batch = 1024}, [this, redis](int) {
        return [this, gate = std::make_shared<StockGate>(redis, memory_)](const std::vector<Write>& writes) {
          return WriteAll(*gate, writes);
        };
      }) {}

async::Task<void> GateWriter::Give(std::vector<Returned> returned) { return Call(GiveWrite{std::move(returned)}); }

async::Task<void> GateWriter::GiveSurplus(std::vector<Returned> surplus) {
  return Call(SurplusWrite{std::move(surplus)});
}

async::Task<void> GateWriter::Doubt(std::vector<std::string> skus) { return Call(DoubtWrite{std::move(skus)}); }

async::Task<void> GateWriter::Add(std::string sku, std::int64_t delta) { return Call(AddWrite{std::move(sku), delta}); }

async::Task<void> GateWriter::Learn(std::vector<StockGate::Purchase> purchases) {
  return Call(LearnWrite{std::move(purchases)});
}

async::Task<void> GateWriter::Extend(std::string order_id, std::vector<Line> lines, absl::Duration hold) {
  return Call(ExtendWrite{std::move(order_id), std::move(lines), hold});
}

async::Task<void> GateWriter::Load(std::vector<std::string> skus) {
  SingleFlight::Claim claim = loading_.Begin(skus);
  if (!claim.mine.empty()) {
    const absl::StatusOr<SkuReader::Skus> found = co_await reader_.Read(claim.mine);
    LoadWrite load;
    for (const std::string& name : claim.mine) {
      if (!found.ok()) break;  // SQL will tell the caller so itself
      const auto it = (*found)->find(name);
      if (it == (*found)->end()) continue;
      load.supplies.push_back({name, it->second.available, it->second.reserved + it->second.sold > 0});
    }
    if (!load.supplies.empty()) co_await Call(std::move(load));
    loading_.End(claim.mine);
  }
  for (const std::string& sku : claim.others) co_await loading_.Wait(sku);
}

async::Task<void> GateWriter::Lower(std::vector<std::string> skus) {
  const std::vector<std::string> asked = skus;
  const absl::StatusOr<SkuReader::Skus> found = co_await reader_.Read(std::move(skus));
  if (!found.ok()) co_return;
  LowerWrite lower;
  for (const std::string& name : asked) {
    const auto it = (*found)->find(name);
    if (it != (*found)->end()) lower.stock.emplace_back(name, it->second.available);
  }
  if (!lower.stock.empty()) co_await Call(std::move(lower));
}

void GateWriter::Suspect(const std::vector<std::string>& skus) {
  std::lock_guard lock(mutex_);
  if (suspects_.size() < kMostSuspects) suspects_.insert(skus.begin(), skus.end());
}

std::set<std::string> GateWriter::TakeSuspects(std::size_t limit) {
  std::lock_guard lock(mutex_);
  if (suspects_.size() <= limit) return std::exchange(suspects_, {});
  std::set<std::string> taken;
  while (taken.size() < limit) taken.insert(suspects_.extract(suspects_.begin()));
  return taken;
}

async::Task<void> GateWriter::Call(Write write) {
  const absl::StatusOr<Nothing> written = co_await writes_.Call(std::move(write));
  written.status().IgnoreError();
}

std::vector<absl::StatusOr<GateWriter::Nothing>> GateWriter::WriteAll(StockGate& gate,
                                                                      const std::vector<Write>& writes) {
  // Gives are the many; they go as one.
  std::vector<Returned> returned;
  for (const Write& write : writes) {
    if (const auto* give = std::get_if<GiveWrite>(&write)) {
      returned.insert(returned.end(), give->returned.begin(), give->returned.end());
    }
  }
  const absl::Status given = gate.Give(returned);
  std::vector<absl::StatusOr<Nothing>> results;
  for (const Write& write : writes) {
    const absl::Status status =
        std::visit(Overloaded{[&](const GiveWrite&) { return given; },
                              [&](const SurplusWrite& w) { return gate.GiveSurplus(w.surplus); },
                              [&](const DoubtWrite& w) { return gate.Doubt(w.skus); },
                              [&](const LoadWrite& w) { return gate.Load(w.supplies); },
                              [&](const LowerWrite& w) { return Lower(gate, w); },
                              [&](const AddWrite& w) { return gate.Add(w.sku, w.delta); },
                              [&](const LearnWrite& w) { return gate.Learn(w.purchases); },
                              [&](const ExtendWrite& w) { return gate.Extend(w.order_id, w.lines, w.hold); }},
                   write);
    results.push_back(status.ok() ? absl::StatusOr<Nothing>(Nothing{}) : status);
  }
  return results;
}

// Units that came back after SQL was asked are lowered away, so the healer looks at these again.
absl::Status GateWriter::Lower(StockGate& gate, const LowerWrite& write) {
  const absl::Status status = gate.LowerTo(write.stock);
  std::vector<std::string> skus;
  skus.reserve(write.stock.size());
  for (const auto& [sku, units] : write.stock) skus.push_back(sku);
  Suspect(skus);
  return status;
}

}  // namespace flotilla::inventory
