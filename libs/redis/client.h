// One Redis connection for one batch worker's thread. Blocking; never on an event loop.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace flotilla::redis {

struct Options {
  std::string host = "127.0.0.1";
  int port = 6379;
  std::string password;
  absl::Duration connect_timeout = absl::Seconds(1);
  absl::Duration command_timeout = absl::Milliseconds(500);
};

// A reply: nil, integer, string (bulk or status), array, or the server's error.
struct Reply {
  std::variant<std::monostate, long long, std::string, std::vector<Reply>, absl::Status> value;
  bool nil() const { return value.index() == 0; }
  bool error() const { return value.index() == 4; }
  long long integer(long long otherwise = 0) const;
  const std::string& string() const;        // "" where it is none
  const std::vector<Reply>& array() const;  // empty where it is none
};

// A Lua script with its SHA1, computed once.
class Script {
 public:
  explicit Script(std::string source);
  const std::string& source() const { return source_; }
  const std::string& sha1() const { return sha1_; }

 private:
  std::string source_;
  std::string sha1_;
};

using Command = std::vector<std::string>;

class Client {
 public:
  explicit Client(Options options);  // does not connect yet
  ~Client();

  // Sends all commands in one write and reads all replies; errors of single commands are in their replies. Connects
  // where needed. UNAVAILABLE: not connected, or the connection broke; commands may or may not have run.
  absl::StatusOr<std::vector<Reply>> Pipeline(std::span<const Command> commands);
  absl::StatusOr<Reply> Run(Command command);

  // EVALSHA of one script for many argument lists, pipelined; loads the script where the server does not have it (also
  // after SCRIPT FLUSH) and runs only the refused ones again.
  struct Invocation {
    std::vector<std::string> keys;
    std::vector<std::string> args;
  };
  absl::StatusOr<std::vector<Reply>> Eval(const Script& script, std::span<const Invocation> invocations);

  // The server's run_id as of the current connection ("" before the first); a change means it restarted.
  const std::string& run_id() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flotilla::redis
