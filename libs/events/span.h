// Spans of events whose traces are sampled: children of the call that wrote them.
#pragma once

#include <utility>
#include <vector>

#include "events/log.h"
#include "tracing/caller.h"

namespace flotilla::events {

inline void AddSpan(const char* verb, tracing::Kind kind, const Event& event, std::vector<tracing::Span>& spans) {
  tracing::Span span = tracing::SpanFor(event.traceparent, kind, verb, event.type);
  if (span.scope() == nullptr) return;
  span.Set("messaging.message.id", event.id());
  spans.push_back(std::move(span));
}

}  // namespace flotilla::events
