// W3C Trace Context (https://www.w3.org/TR/trace-context/): "00-<32 hex trace id>-<16 hex span id>-<2 hex flags>".
#pragma once

#include <string>
#include <string_view>

namespace flotilla::telemetry {

bool IsTraceparent(std::string_view text);
// Whether the trace's spans are recorded. False where malformed.
bool IsSampled(std::string_view traceparent);
// A child span of `parent`, or a new trace where `parent` is empty or malformed, sampled or not.
std::string ChildTraceparent(std::string_view parent, bool sampled);
// The 32 and the 16 hex digits, or "" where malformed.
std::string_view TraceId(std::string_view traceparent);
std::string_view SpanId(std::string_view traceparent);

}  // namespace flotilla::telemetry
