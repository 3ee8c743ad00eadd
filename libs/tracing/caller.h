// Spans for a caller that has left no more than its traceparent, in a record or an event.
#pragma once

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "telemetry/trace.h"
#include "tracing/exporter.h"

namespace flotilla::tracing {

// "<verb> <what>", a child of the caller's span; of no trace where that is not sampled, which costs a look.
inline Span SpanFor(const std::string& caller, Kind kind, const char* verb, const std::string& what) {
  if (!Exporting() || !telemetry::IsSampled(caller)) return {};
  return {absl::StrCat(verb, " ", what), kind, telemetry::ChildTraceparent(caller, true), caller};
}

}  // namespace flotilla::tracing
