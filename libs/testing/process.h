// A child process of a test. It dies with the thread that started it, so that a crashed test leaves nothing behind.
#pragma once

#include <csignal>
#include <map>
#include <string>
#include <vector>

namespace flotilla {

class Process {
 public:
  // Starts at once; `environment` is added to ours. Output is appended to the file `log`.
  Process(std::vector<std::string> command, std::string log,
          const std::map<std::string, std::string>& environment = {});
  ~Process();  // SIGKILL where it still runs
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void Signal(int signal) const;
  // Exit code, or -signal; waits at most `seconds` and then kills.
  int Wait(int seconds);
  bool alive();
  int pid() const { return pid_; }
  std::string Output() const;  // all of the log so far

 private:
  const std::string log_;
  int pid_ = -1;
  bool reaped_ = false;
  int result_ = 0;
};

// This program's own file, to be started again as another process.
std::string OwnProgram();

// A free port of this machine, which no other caller gets while this process lives.
int FreePort();

}  // namespace flotilla
