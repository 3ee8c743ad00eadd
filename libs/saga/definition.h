// The rules of a definition, and how its steps lie to each other. Part of the engine.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "saga/saga.h"

namespace flotilla::saga {

// Throws std::invalid_argument where the definition breaks a rule of Step.
void CheckDefinition(const Definition& definition);

// The steps from `first` that run together with it; those before `last` that do.
std::size_t GroupEnd(const Definition& definition, std::size_t first);
std::size_t GroupBegin(const Definition& definition, std::size_t last);

// May a saga that stands before the end of `step` go back? Not behind the pivot, nor where there is nothing to undo.
bool Compensable(const Definition& definition, std::string_view step);

// The places of its steps where they can be made to fail.
void DeclareFailpoints(const Definition& definition);
std::string FailpointOf(const std::string& type, const std::string& step);

}  // namespace flotilla::saga
