#include "telemetry/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "telemetry/trace.h"

namespace flotilla::telemetry {
namespace {

struct Logger {
  std::string service = "unknown";
  std::shared_ptr<spdlog::logger> out;

  Logger() {
    out = std::make_shared<spdlog::logger>("flotilla", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    out->set_pattern("%v");
    out->set_level(spdlog::level::info);
    out->flush_on(spdlog::level::trace);
  }
};

Logger& TheLogger() {
  static auto* logger = new Logger;  // logs until the very end of the process
  return *logger;
}

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

const char* Name(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarning:
      return "warn";
    case Level::kError:
      return "error";
  }
  return "info";
}

// RFC 8259, section 7. Bytes beyond ASCII go as they are: messages are UTF-8.
void AppendString(std::string& out, std::string_view text) {
  out.push_back('"');
  for (const char c : text) {
    switch (c) {
      case '"':
        out.append("\\\"");
        break;
      case '\\':
        out.append("\\\\");
        break;
      case '\n':
        out.append("\\n");
        break;
      case '\t':
        out.append("\\t");
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          absl::StrAppendFormat(&out, "\\u%04x", static_cast<unsigned char>(c));
        } else {
          out.push_back(c);
        }
    }
  }
  out.push_back('"');
}

void AppendField(std::string& out, std::string_view key, std::string_view value) {
  out.append(out.empty() ? "{" : ",");
  AppendString(out, key);
  out.push_back(':');
  AppendString(out, value);
}

}  // namespace

void InitLog(std::string service, Level minimum) {
  Logger& logger = TheLogger();
  logger.service = std::move(service);
  logger.out->set_level(ToSpdlog(minimum));
}

void Log(Level level, std::string_view message, Fields fields, std::string_view traceparent) {
  Logger& logger = TheLogger();
  if (!logger.out->should_log(ToSpdlog(level))) return;
  std::string line;
  line.reserve(256);
  AppendField(line, "timestamp", absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", absl::Now(), absl::UTCTimeZone()));
  AppendField(line, "level", Name(level));
  AppendField(line, "service", logger.service);
  AppendField(line, "trace_id", TraceId(traceparent));
  AppendField(line, "message", message);
  for (const auto& [key, value] : fields) AppendField(line, key, value);
  line.push_back('}');
  logger.out->log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace flotilla::telemetry
