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

// How many bytes the UTF-8 character at the beginning takes (RFC 3629, section 4), 0 where it is none.
std::size_t CharacterLength(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const std::size_t length = lead < 0x80   ? 1
                             : lead < 0xc2 ? 0
                             : lead < 0xe0 ? 2
                             : lead < 0xf0 ? 3
                             : lead < 0xf5 ? 4
                                           : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, beyond U+10FFFF.
  if ((lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xed && byte(1) > 0x9f) || (lead == 0xf0 && byte(1) < 0x90) ||
      (lead == 0xf4 && byte(1) > 0x8f)) {
    return 0;
  }
  return length;
}

// RFC 8259, section 7. What is not UTF-8 (errors may quote a client's bytes) becomes U+FFFD: a line must stay JSON.
void AppendString(std::string& out, std::string_view text) {
  out.push_back('"');
  while (!text.empty()) {
    const std::size_t length = CharacterLength(text);
    if (length != 1) {
      out.append(length == 0 ? "\xef\xbf\xbd" : text.substr(0, length));
      text.remove_prefix(length == 0 ? 1 : length);
      continue;
    }
    const char c = text.front();
    text.remove_prefix(1);
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
