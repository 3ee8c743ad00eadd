// JSON log lines on stderr: {"timestamp","level","service","trace_id","message", fields...}. No personal data, no
// secrets.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace flotilla::telemetry {

enum class Level { kDebug, kInfo, kWarning, kError };
using Fields = std::initializer_list<std::pair<std::string_view, std::string>>;

void InitLog(std::string service, Level minimum);
void Log(Level level, std::string_view message, Fields fields = {}, std::string_view traceparent = {});
inline void Info(std::string_view message, Fields fields = {}) { Log(Level::kInfo, message, fields); }
inline void Warning(std::string_view message, Fields fields = {}) { Log(Level::kWarning, message, fields); }
inline void Error(std::string_view message, Fields fields = {}) { Log(Level::kError, message, fields); }

}  // namespace flotilla::telemetry
