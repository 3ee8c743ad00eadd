// Spans of events whose traces are sampled: children of the call that wrote them.
#pragma once

#include <vector>

#include "absl/strings/str_cat.h"
#include "events/log.h"
#include "telemetry/trace.h"
#include "tracing/exporter.h"

namespace flotilla::events {

inline void AddSpan(const char* verb, tracing::Kind kind, const Event& event, std::vector<tracing::Span>& spans) {
  if (!tracing::Exporting() || !telemetry::IsSampled(event.traceparent)) return;
  const tracing::Scope writer{event.traceparent};
  spans.emplace_back(absl::StrCat(verb, " ", event.type), kind, &writer);
  spans.back().Set("messaging.message.id", event.id());
}

}  // namespace flotilla::events
