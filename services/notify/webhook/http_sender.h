// Sends HTTP POSTs, many at a time, on a thread of its own (libcurl's multi interface). No receiver can hold up
// another: everything has a time limit, answers are cut off, redirects are not followed, and connections go only to
// addresses that are allowed, looked at when they are connected to.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace flotilla::notify {

struct HttpRequest {
  std::string url;
  std::vector<std::string> headers;  // "name: value"
  std::string body;
};

struct HttpResult {
  int status = 0;     // 0: there was no answer
  std::string error;  // why there was none; empty where status is set
  absl::Duration duration;
  bool ok() const { return status >= 200 && status < 300; }
};

class HttpSender {
 public:
  struct Options {
    absl::Duration connect_timeout = absl::Seconds(3);
    absl::Duration timeout = absl::Seconds(10);  // of the whole request
    bool allow_private = false;                  // see address.h
  };
  explicit HttpSender(Options options);
  ~HttpSender();  // gives up what is under way, without its callbacks; joins

  // Any thread. `done` is called once, on the sender's thread. The caller bounds how many are under way.
  void Send(HttpRequest request, std::function<void(HttpResult)> done);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace flotilla::notify
