#include "payment/domain/reconciliation.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace flotilla::payment {
namespace {

struct Group {
  std::vector<const StatementLine*> lines;
  std::vector<const LedgerEntry*> open;  // not paired yet
  std::vector<const LedgerEntry*> taken;
};

// Takes the first open entry that `fits` out of the group; null where there is none.
template <class Fits>
const LedgerEntry* Take(Group& group, Fits fits) {
  const auto it = std::find_if(group.open.begin(), group.open.end(), fits);
  if (it == group.open.end()) return nullptr;
  const LedgerEntry* entry = *it;
  group.open.erase(it);
  group.taken.push_back(entry);
  return entry;
}

Difference Of(DifferenceClass kind_of, const StatementLine* line, const LedgerEntry* entry) {
  Difference difference{.kind_of = kind_of,
                        .reference = line != nullptr ? line->reference : entry->reference,
                        .kind = line != nullptr ? line->kind : entry->kind,
                        .currency = line != nullptr ? line->amount.currency : entry->amount.currency};
  if (line != nullptr) {
    difference.line = line->line;
    difference.theirs = line->amount.minor_units;
  }
  if (entry != nullptr) {
    difference.transfer_id = entry->transfer_id;
    difference.ours = entry->amount.minor_units;
  }
  return difference;
}

// The line has no entry of its amount.
Difference Classify(Group& group, const StatementLine& line) {
  const bool repeated = std::any_of(group.taken.begin(), group.taken.end(),
                                    [&](const LedgerEntry* e) { return e->amount == line.amount; });
  if (repeated) return Of(DifferenceClass::kDuplicate, &line, nullptr);
  const LedgerEntry* other = Take(group, [](const LedgerEntry* e) { return e->due || e->dismissed; });
  if (other != nullptr) return Of(DifferenceClass::kAmountDiffers, &line, other);
  const bool charged_again = line.kind == ProviderKind::kCharge && !group.taken.empty();
  return Of(charged_again ? DifferenceClass::kDuplicate : DifferenceClass::kMissingHere, &line, nullptr);
}

}  // namespace

Comparison Compare(std::span<const StatementLine> lines, std::span<const LedgerEntry> entries) {
  std::map<std::tuple<std::string_view, ProviderKind, std::string_view>, Group> groups;
  for (const StatementLine& line : lines) {
    groups[{line.reference, line.kind, line.amount.currency}].lines.push_back(&line);
  }
  for (const LedgerEntry& entry : entries) {
    Group& group = groups[{entry.reference, entry.kind, entry.amount.currency}];
    (entry.taken ? group.taken : group.open).push_back(&entry);
  }
  Comparison comparison;
  for (auto& [key, group] : groups) {
    // Equal amounts first, so that no line of another amount takes an entry away.
    std::vector<const StatementLine*> rest;
    for (const StatementLine* line : group.lines) {
      const LedgerEntry* entry = Take(group, [&](const LedgerEntry* e) { return e->amount == line->amount; });
      if (entry == nullptr) {
        rest.push_back(line);
      } else {
        comparison.matches.push_back({line->line, entry->transfer_id});
      }
    }
    for (const StatementLine* line : rest) comparison.differences.push_back(Classify(group, *line));
    for (const LedgerEntry* entry : group.open) {
      if (entry->due) comparison.differences.push_back(Of(DifferenceClass::kMissingThere, nullptr, entry));
    }
  }
  return comparison;
}

std::int64_t OwedMore(const Difference& difference) {
  const std::int64_t more = difference.theirs - difference.ours;
  return difference.kind == ProviderKind::kCharge ? more : -more;
}

}  // namespace flotilla::payment
