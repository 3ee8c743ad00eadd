// W3C Trace Context (https://www.w3.org/TR/trace-context/): "00-<32 hex trace id>-<16 hex span id>-<2 hex flags>".
#pragma once

#include <string>
#include <string_view>

namespace flotilla::telemetry {

// A child span of `parent`, or a new trace where `parent` is empty or malformed.
std::string ChildTraceparent(std::string_view parent);
// The 32 hex digits, or "" where malformed.
std::string_view TraceId(std::string_view traceparent);

}  // namespace flotilla::telemetry
