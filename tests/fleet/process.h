// A child process of a test, with its own log file.
#pragma once

#include <csignal>
#include <map>
#include <string>
#include <vector>

namespace flotilla::fleet {

class Process {
 public:
  // Starts at once; `environment` is added to ours. Output is appended to `log`.
  Process(std::vector<std::string> command, std::string log, std::map<std::string, std::string> environment = {});
  ~Process();  // SIGKILL where it still runs
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void Signal(int signal) const;
  // Exit code, or -signal; waits at most `seconds` and then kills.
  int Wait(int seconds);
  bool alive();

 private:
  int pid_ = -1;
  bool reaped_ = false;
  int result_ = 0;
};

// A port that was free a moment ago.
int FreePort();

}  // namespace flotilla::fleet
