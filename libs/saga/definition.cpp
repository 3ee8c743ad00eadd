#include "saga/definition.h"

#include <algorithm>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "failpoint/failpoint.h"

namespace flotilla::saga {

void CheckDefinition(const Definition& definition) {
  for (std::size_t i = 0; i < definition.steps.size(); ++i) {
    const Step& step = definition.steps[i];
    const bool follows_pivot = i > 0 && definition.steps[i - 1].pivot;
    if (step.concurrent && (i == 0 || step.pivot || follows_pivot)) {
      throw std::invalid_argument(
          absl::StrCat("saga ", definition.type, ": step ", step.name, " cannot be concurrent"));
    }
  }
  if (!definition.finish_forward || !definition.finish_compensated) {
    throw std::invalid_argument(absl::StrCat("saga ", definition.type, " has no finishing actions"));
  }
}

std::size_t GroupEnd(const Definition& definition, std::size_t first) {
  std::size_t last = first + 1;
  while (last < definition.steps.size() && definition.steps[last].concurrent) ++last;
  return last;
}

std::size_t GroupBegin(const Definition& definition, std::size_t last) {
  std::size_t first = last - 1;
  while (first > 0 && definition.steps[first].concurrent) --first;
  return first;
}

bool Compensable(const Definition& definition, std::string_view step) {
  const auto undoable = [](const Step& s) { return static_cast<bool>(s.compensation); };
  if (std::none_of(definition.steps.begin(), definition.steps.end(), undoable)) return false;
  for (const Step& each : definition.steps) {
    if (each.name == step) return true;
    if (each.pivot) return false;
  }
  return true;  // no pivot at all
}

std::string FailpointOf(const std::string& type, const std::string& step) {
  return absl::StrReplaceAll(absl::StrCat("saga.", type, ".", step), {{" ", "_"}});
}

void DeclareFailpoints([[maybe_unused]] const Definition& definition) {
#ifdef FLOTILLA_FAILPOINTS
  bool may_refuse = false, pivoted = false;
  for (const Step& step : definition.steps) {
    if (step.action) failpoint::Declare(FailpointOf(definition.type, step.name));
    if (step.compensation) failpoint::Declare(FailpointOf(definition.type, "undo " + step.name));
    may_refuse = may_refuse || (step.action && !pivoted);
    pivoted = pivoted || step.pivot;
  }
  if (may_refuse) failpoint::Declare(FailpointOf(definition.type, "decide"));
  failpoint::Declare(FailpointOf(definition.type, "finish"));
#endif
}

}  // namespace flotilla::saga
