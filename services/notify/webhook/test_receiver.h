// For tests: an HTTP server on a real socket that behaves as it is told.
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace flotilla::notify {

class TestReceiver {
 public:
  struct Request {
    std::string head;  // request line and headers, lower case names as sent
    std::string body;
    std::string Header(const std::string& name) const {
      const std::size_t at = head.find("\r\n" + name + ": ");
      if (at == std::string::npos) return "";
      const std::size_t from = at + name.size() + 4;
      return head.substr(from, head.find("\r\n", from) - from);
    }
  };
  // What is sent back; Hang() never answers, "" closes at once.
  using Behaviour = std::function<std::string(const Request&)>;

  static std::string Answer(int status, const std::string& extra = "") {
    return absl::StrCat("HTTP/1.1 ", status, " X\r\ncontent-length: 0\r\nconnection: close\r\n", extra, "\r\n");
  }
  static Behaviour Always(int status) {
    return [status](const Request&) { return Answer(status); };
  }
  static Behaviour Hang() {
    return [](const Request&) { return std::string("hang"); };
  }
  // Not even the whole head, a byte at a time.
  static Behaviour Drip() {
    return [](const Request&) { return std::string("drip"); };
  }

  explicit TestReceiver(Behaviour behaviour) : behaviour_(std::move(behaviour)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    listen(listener_, 256);
    socklen_t size = sizeof(address);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { Accept(); });
  }
  ~TestReceiver() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      for (const int fd : open_) shutdown(fd, SHUT_RDWR);
    }
    shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    for (auto& [id, thread] : threads_) thread.join();
    close(listener_);
  }
  TestReceiver(const TestReceiver&) = delete;

  std::string url(const std::string& path = "/hook") const { return absl::StrCat("http://127.0.0.1:", port_, path); }
  std::vector<Request> requests() {
    std::lock_guard lock(mutex_);
    return requests_;
  }
  void Become(Behaviour behaviour) {
    std::lock_guard lock(mutex_);
    behaviour_ = std::move(behaviour);
  }

 private:
  void Accept() {
    for (;;) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      std::lock_guard lock(mutex_);
      if (stopping_) {
        close(fd);
        return;
      }
      open_.push_back(fd);
      std::thread thread([this, fd] { Serve(fd); });
      const std::thread::id id = thread.get_id();
      threads_.emplace(id, std::move(thread));
      // What has ended is joined with the next one: a thread keeps its stack until then.
      for (const std::thread::id ended : std::exchange(ended_, {})) {
        threads_.at(ended).join();
        threads_.erase(ended);
      }
    }
  }
  void Serve(int fd) {
    std::string in;
    char buffer[4096];
    std::size_t end = std::string::npos;
    std::size_t length = 0;
    while (end == std::string::npos || in.size() < end + 4 + length) {
      const ssize_t n = read(fd, buffer, sizeof(buffer));
      if (n <= 0) break;
      in.append(buffer, static_cast<std::size_t>(n));
      end = in.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      const std::size_t at = in.find("Content-Length: ");
      if (at != std::string::npos) {
        const std::size_t from = at + 16;
        if (!absl::SimpleAtoi(in.substr(from, in.find("\r\n", from) - from), &length)) break;
      }
    }
    if (end != std::string::npos) Reply(fd, {in.substr(0, end + 2), in.substr(end + 4)});
    std::lock_guard lock(mutex_);
    std::erase(open_, fd);
    close(fd);
    ended_.push_back(std::this_thread::get_id());
  }
  void Reply(int fd, Request request) {
    std::string reply;
    {
      std::lock_guard lock(mutex_);
      requests_.push_back(request);
      reply = behaviour_(request);
    }
    if (reply == "hang" || reply == "drip") {
      // A head that a client has to go on with; any other first bytes it may refuse at once.
      static constexpr std::string_view kDripping = "HTTP/1.1 200 X\r\nx-endless: ";
      char byte = 0;
      for (std::size_t sent = 0;; ++sent) {
        if (reply == "drip") {
          const char next = sent < kDripping.size() ? kDripping[sent] : 'x';
          if (send(fd, &next, 1, MSG_NOSIGNAL) != 1) return;
        }
        absl::SleepFor(absl::Milliseconds(20));
        std::lock_guard lock(mutex_);
        if (stopping_ || (reply == "hang" && recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)) return;
      }
    }
    send(fd, reply.data(), reply.size(), MSG_NOSIGNAL);
  }

  std::mutex mutex_;
  Behaviour behaviour_;
  bool stopping_ = false;
  std::vector<int> open_;
  std::vector<Request> requests_;
  int listener_ = -1;
  int port_ = 0;
  std::map<std::thread::id, std::thread> threads_;
  std::vector<std::thread::id> ended_;  // of these
  std::thread acceptor_;
};

}  // namespace flotilla::notify
