#include "fleet/proxy.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>

#include "absl/time/clock.h"

namespace flotilla::fleet {
namespace {

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

bool SendAll(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    data += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

}  // namespace

struct Proxy::Connection {
  Connection(int c, int t) : client(c), target(t) {}
  ~Connection() {
    close(client);
    close(target);
  }
  void Break() const {
    shutdown(client, SHUT_RDWR);
    shutdown(target, SHUT_RDWR);
  }
  const int client, target;
};

Proxy::Proxy(int target) : target_(target) {
  listener_ = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener_, 128) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    close(listener_);
    throw std::runtime_error("the proxy cannot listen");
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

Proxy::~Proxy() {
  stop_ = true;
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  BreakAll();
  for (Server& server : servers_) server.thread.join();
  close(listener_);
}

void Proxy::Accept() {
  while (!stop_) {
    const int client = accept(listener_, nullptr, nullptr);
    if (client < 0) continue;
    const int target = socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in address = Loopback(target_);
    const int on = 1;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(target, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    auto connection = std::make_shared<Connection>(client, target);
    if (cut_ || connect(target, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) continue;
    {
      const std::lock_guard lock(mutex_);
      connections_.push_back(connection);
    }
    servers_.remove_if([](Server& server) {
      const bool ended = server.ended->load();
      if (ended) server.thread.join();
      return ended;
    });
    auto ended = std::make_shared<std::atomic<bool>>(false);
    servers_.push_back({std::thread([this, connection = std::move(connection), ended] {
                          Serve(connection);
                          ended->store(true);
                        }),
                        ended});
  }
}

void Proxy::Serve(std::shared_ptr<Connection> connection) {
  std::string tail;
  pollfd ends[2] = {{connection->client, POLLIN, 0}, {connection->target, POLLIN, 0}};
  bool open = true;
  while (open && !stop_) {
    if (poll(ends, 2, 100) < 0) break;
    if (ends[0].revents != 0) open = Pump(*connection, true, tail);
    if (open && ends[1].revents != 0) open = Pump(*connection, false, tail);
  }
  connection->Break();
  const std::lock_guard lock(mutex_);
  std::erase(connections_, connection);
}

// False at the connection's end.
bool Proxy::Pump(Connection& connection, bool from_client, std::string& tail) {
  char buffer[65536];
  const ssize_t got = recv(from_client ? connection.client : connection.target, buffer, sizeof(buffer), 0);
  if (got <= 0) return false;
  const auto size = static_cast<std::size_t>(got);
  if (const std::int64_t delay = delay_us_; delay > 0) absl::SleepFor(absl::Microseconds(delay));
  if (!from_client) return swallow_ || SendAll(connection.client, buffer, size);
  if (!SendAll(connection.target, buffer, size)) return false;
  if (cuts_left_ <= 0) return true;
  const std::lock_guard lock(mutex_);
  tail.append(buffer, size);
  if (tail.find(cut_after_) != std::string::npos && cuts_left_-- > 0) {
    absl::SleepFor(absl::Milliseconds(20));  // so that the target has read it before it hears of the end
    return false;
  }
  tail = tail.substr(tail.size() - std::min(tail.size(), cut_after_.size()));
  return true;
}

void Proxy::Cut() {
  cut_ = true;
  BreakAll();
}

void Proxy::SwallowAnswers() { swallow_ = true; }

void Proxy::Heal() {
  cut_ = false;
  delay_us_ = 0;
  if (swallow_.exchange(false)) BreakAll();
}

void Proxy::CutAfter(std::string bytes, int count) {
  const std::lock_guard lock(mutex_);
  cut_after_ = std::move(bytes);
  cuts_left_ = count;
}

void Proxy::BreakAll() {
  const std::lock_guard lock(mutex_);
  for (const auto& connection : connections_) connection->Break();
}

}  // namespace flotilla::fleet
