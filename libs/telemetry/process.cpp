#include "telemetry/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace flotilla::telemetry {
namespace {

// Of /proc/self/stat, numbered as in proc(5).
struct Stat {
  double cpu_ticks = 0;    // fields 14 and 15
  double threads = 0;      // 20
  double start_ticks = 0;  // 22, since boot
  double pages = 0;        // 24, resident
};

bool Read(Stat* out) {
  std::ifstream file("/proc/self/stat");
  std::string word;
  // The second field, the program's name, may hold blanks; it ends with the last ')'.
  if (!std::getline(file, word, ')')) return false;
  for (int field = 3; field <= 24; ++field) {
    if (!(file >> word)) return false;
    if (field != 14 && field != 15 && field != 20 && field != 22 && field != 24) continue;
    const double value = std::strtod(word.c_str(), nullptr);
    if (field == 14 || field == 15) out->cpu_ticks += value;
    if (field == 20) out->threads = value;
    if (field == 22) out->start_ticks = value;
    if (field == 24) out->pages = value;
  }
  return true;
}

double BootTime() {
  std::ifstream file("/proc/stat");
  for (std::string word; file >> word;) {
    double seconds = 0;
    if (word == "btime" && file >> seconds) return seconds;
  }
  return 0;
}

prometheus::MetricFamily Family(const char* name, const char* help, prometheus::MetricType type, double value) {
  prometheus::ClientMetric metric;
  if (type == prometheus::MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  return {name, help, type, {metric}};
}

}  // namespace

std::vector<prometheus::MetricFamily> ProcessMetrics::Collect() const {
  using prometheus::MetricType;
  std::vector<prometheus::MetricFamily> out;
  if (Stat stat; Read(&stat)) {
    const double tick = 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
    const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
    out.push_back(
        Family("process_cpu_seconds_total", "User and system CPU time", MetricType::Counter, stat.cpu_ticks * tick));
    out.push_back(Family("process_resident_memory_bytes", "Resident memory", MetricType::Gauge, stat.pages * page));
    out.push_back(Family("process_threads", "Threads", MetricType::Gauge, stat.threads));
    out.push_back(Family("process_start_time_seconds", "Start, since the Unix epoch", MetricType::Gauge,
                         BootTime() + stat.start_ticks * tick));
  }
  std::error_code error;
  double open = 0;
  for (auto it = std::filesystem::directory_iterator("/proc/self/fd", error); !error && it != end(it);
       it.increment(error)) {
    ++open;
  }
  if (!error) out.push_back(Family("process_open_fds", "Open file descriptors", MetricType::Gauge, open));
  if (rlimit limit{}; getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    out.push_back(Family("process_max_fds", "Limit of open file descriptors", MetricType::Gauge,
                         static_cast<double>(limit.rlim_cur)));
  }
  return out;
}

}  // namespace flotilla::telemetry
