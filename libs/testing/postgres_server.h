// A PostgreSQL of a test's own, to be killed, filled and restarted.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "testing/process.h"

namespace flotilla {

class PostgresServer {
 public:
  // Makes a data folder under `folder` and starts. `settings` as in "fsync=off". Throws std::runtime_error.
  explicit PostgresServer(const std::filesystem::path& folder, std::vector<std::string> settings = {"fsync=off"});
  ~PostgresServer() { Kill(); }

  void Start();  // waits until it answers
  void Kill();   // SIGKILL; what was acknowledged is in its log
  int port() const { return port_; }
  int pid() const { return process_->pid(); }  // of the one whose children serve connections
  std::string uri() const;                     // of the administrator, database postgres

 private:
  const std::filesystem::path folder_;
  const std::vector<std::string> settings_;
  const int port_ = FreePort();
  std::optional<Process> process_;
};

}  // namespace flotilla
