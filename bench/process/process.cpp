#include "process/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace flotilla::bench {

std::optional<ProcessTime> TimeOf(int pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  std::istringstream fields(line.substr(line.rfind(')') + 2));  // from field 3, the state
  std::string skipped;
  ProcessTime out;
  fields >> skipped >> out.parent;
  for (int i = 5; i <= 13; ++i) fields >> skipped;
  double ticks = 0;
  for (int i = 14; i <= 17; ++i) {
    double value = 0;
    fields >> value;
    ticks += value;
  }
  out.seconds = ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
  return out;
}

double TreeSeconds(int root) {
  double seconds = 0;
  if (const auto time = TimeOf(root)) seconds += time->seconds;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const int pid = std::atoi(entry.path().filename().c_str());
    if (pid == 0) continue;
    if (const auto time = TimeOf(pid); time && time->parent == root) seconds += time->seconds;
  }
  return seconds;
}

double OwnSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double ResidentMb(int pid) {
  std::ifstream memory(absl::StrCat("/proc/", pid, "/statm"));
  double size = 0, resident = 0;
  memory >> size >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

}  // namespace flotilla::bench
