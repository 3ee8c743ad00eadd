#include "telemetry/trace.h"

#include <random>

namespace flotilla::telemetry {
namespace {

// "00-" + 32 + "-" + 16 + "-" + 2
constexpr std::size_t kLength = 55;

bool IsHex(std::string_view text) {
  bool zero = true;
  for (const char c : text) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
    zero = zero && c == '0';
  }
  return !zero;  // all zeros is invalid for ids
}

void AppendRandomHex(std::string& out, int words) {
  thread_local std::mt19937_64 random([] {
    std::random_device device;
    return (static_cast<std::uint64_t>(device()) << 32) | device();
  }());
  constexpr char kHex[] = "0123456789abcdef";
  for (int i = 0; i < words; ++i) {
    std::uint64_t word = random() | 1;  // never all zeros
    for (int digit = 0; digit < 16; ++digit, word >>= 4) out.push_back(kHex[word & 15]);
  }
}

}  // namespace

bool IsTraceparent(std::string_view t) {
  return t.size() == kLength && t.substr(0, 3) == "00-" && t[35] == '-' && t[52] == '-' && IsHex(t.substr(3, 32)) &&
         IsHex(t.substr(36, 16)) && (IsHex(t.substr(53, 2)) || t.substr(53, 2) == "00");
}

// The flags' last bit.
bool IsSampled(std::string_view traceparent) {
  return IsTraceparent(traceparent) && std::string_view("13579bdf").find(traceparent[54]) != std::string_view::npos;
}

std::string ChildTraceparent(std::string_view parent, bool sampled) {
  std::string out;
  out.reserve(kLength);
  if (IsTraceparent(parent)) {
    out.append(parent.substr(0, 36));
  } else {
    out.append("00-");
    AppendRandomHex(out, 2);
    out.push_back('-');
  }
  AppendRandomHex(out, 1);
  out.append(sampled ? "-01" : "-00");
  return out;
}

std::string_view TraceId(std::string_view traceparent) {
  return IsTraceparent(traceparent) ? traceparent.substr(3, 32) : std::string_view();
}

std::string_view SpanId(std::string_view traceparent) {
  return IsTraceparent(traceparent) ? traceparent.substr(36, 16) : std::string_view();
}

}  // namespace flotilla::telemetry
