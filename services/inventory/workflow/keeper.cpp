#include "inventory/workflow/keeper.h"

#include <cstdlib>

#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace flotilla::inventory {

Keeper::Keeper(const postgres::Options& postgres, const redis::Options& redis, Catalog& catalog, GateWriter& writer,
               Options options)
    : options_(options),
      catalog_(catalog),
      writer_(writer),
      holds_(postgres::Named(postgres, "keeper")),
      skus_(postgres::Named(postgres, "keeper")),
      gate_(redis, writer.memory()),
      drift_(telemetry::Gauge(
          "flotilla_gate_drift_units",
          "Units by which the gate differed from SQL when last compared, without orders on their way")),
      healed_(telemetry::Counter("flotilla_gate_healed_total", "SKUs whose gate was set from SQL")),
      expired_(telemetry::Counter("flotilla_holds_expired_total", "Holds that ran out")),
      thread_([this] { Run(); }) {}

Keeper::~Keeper() {
  stop_.Set();
  thread_.join();
}

void Keeper::Run() {
  while (!stop_.WaitFor(options_.period)) {
    ExpireHolds();
    HealGate();
    catalog_.Refresh().IgnoreError();  // the next turn tries again
  }
}

void Keeper::ExpireHolds() {
  for (;;) {
    const absl::StatusOr<std::vector<Returned>> returned = holds_.Expire(options_.expired_batch);
    if (!returned.ok() || returned->empty()) return;  // a database that is away is tried again next time
    expired_.Increment(static_cast<double>(returned->size()));
    for (const Returned& item : *returned) writer_.Suspect(item.skus);
    gate_.Give(*returned).IgnoreError();  // where it fails, the healer raises the gate
    if (returned->size() < static_cast<std::size_t>(options_.expired_batch)) return;
  }
}

void Keeper::HealGate() {
  std::set<std::string> suspects = writer_.TakeSuspects(static_cast<std::size_t>(options_.suspect_batch));
  for (const auto& [sku, values] : differing_) suspects.insert(sku);
  const std::vector<std::string> names(suspects.begin(), suspects.end());
  if (!CompareAll(names)) writer_.Suspect(names);  // again, when both servers answer
}

bool Keeper::CompareAll(const std::vector<std::string>& names) {
  std::map<std::string, std::int64_t> truth;
  if (!names.empty()) {
    const absl::StatusOr<std::map<std::string, Sku>> skus = skus_.Read(names);
    if (!skus.ok()) return false;
    for (const auto& [name, sku] : *skus) truth[name] = sku.available;
  }
  // Besides, all SKUs in turn: drift that nobody suspected, such as an add-back that a crash swallowed.
  const auto sweep = skus_.Scan(sweep_after_, options_.sweep_batch);
  if (!sweep.ok()) return false;
  for (const auto& [sku, available] : *sweep) truth.emplace(sku, available);
  if (!Compare(truth)) return false;
  sweep_after_ = sweep->size() < static_cast<std::size_t>(options_.sweep_batch) ? "" : sweep->back().first;
  return true;
}

bool Keeper::Compare(const std::map<std::string, std::int64_t>& truth) {
  std::vector<std::string> skus;
  skus.reserve(truth.size());
  for (const auto& [sku, available] : truth) skus.push_back(sku);
  const auto gate = gate_.Read(skus);
  if (!gate.ok()) return false;
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> differing;
  std::vector<StockGate::Correction> corrections;
  std::int64_t drift = 0;
  for (std::size_t i = 0; i < skus.size(); ++i) {
    if (!(*gate)[i].has_value()) continue;  // it learns the SKU when it is asked for it
    const std::pair<std::int64_t, std::int64_t> values{*(*gate)[i], truth.at(skus[i])};
    if (values.first == values.second) continue;
    differing[skus[i]] = values;
    const auto before = differing_.find(skus[i]);
    if (before == differing_.end() || before->second != values) continue;
    drift += std::abs(values.first - values.second);
    corrections.push_back({skus[i], values.first, values.second});
  }
  differing_ = std::move(differing);
  drift_.Set(static_cast<double>(drift));
  if (corrections.empty()) return true;
  if (!gate_.Correct(corrections).ok()) return false;
  healed_.Increment(static_cast<double>(corrections.size()));
  telemetry::Info("gate healed from SQL",
                  {{"skus", std::to_string(corrections.size())}, {"units", std::to_string(drift)}});
  return true;
}

}  // namespace flotilla::inventory
