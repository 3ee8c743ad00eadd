// Clients that mean harm or are broken: each does its worst while another one is served.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "errors/errors.h"
#include "gtest/gtest.h"
#include "rpc/server.h"
#include "test_service.grpc.pb.h"
#include "testing/eventually.h"

namespace flotilla::rpc {
namespace {

using test::Message;
using test::TestService;
using Async = TestService::AsyncService;

constexpr char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Of RFC 9113.
enum Frame : unsigned char {
  kData = 0,
  kHeaders = 1,
  kResetStream = 3,
  kSettings = 4,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8,
  kContinuation = 9
};
constexpr unsigned char kAck = 1, kEndStream = 1;
constexpr int kInitialWindowSize = 4;  // of the settings
constexpr unsigned char kEndHeaders = 4;
constexpr unsigned char kEnhanceYourCalm = 11;

std::string MakeFrame(Frame type, unsigned char flags, int stream, const std::string& payload) {
  std::string frame;
  for (const int shift : {16, 8, 0}) frame.push_back(static_cast<char>(payload.size() >> shift & 0xff));
  frame.push_back(static_cast<char>(type));
  frame.push_back(static_cast<char>(flags));
  for (const int shift : {24, 16, 8, 0}) frame.push_back(static_cast<char>(stream >> shift & 0xff));
  return frame + payload;
}

// An HPACK literal that is not indexed.
std::string Literal(const std::string& name, const std::string& value) {
  const auto text = [](const std::string& t) { return std::string(1, static_cast<char>(t.size())) + t; };
  return std::string(1, '\0') + text(name) + text(value);
}

// The headers of a call of Echo.
std::string Headers() {
  return Literal(":method", "POST") + Literal(":scheme", "http") + Literal(":authority", "test") +
         Literal(":path", "/flotilla.rpc.test.TestService/Echo") + Literal("content-type", "application/grpc") +
         Literal("te", "trailers");
}

class RawConnection {
 public:
  explicit RawConnection(int port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  ~RawConnection() { close(fd_); }
  RawConnection(const RawConnection&) = delete;

  // False once the server has closed the connection.
  bool Send(const std::string& bytes) {
    for (std::size_t sent = 0; sent < bytes.size();) {
      const ssize_t n = send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return false;
      sent += static_cast<std::size_t>(n);
    }
    return true;
  }
  bool Open() { return Send(kPreface + MakeFrame(kSettings, 0, 0, "")); }
  // Takes what has come.
  const std::string& Received() {
    char buffer[4096];
    for (pollfd ready{fd_, POLLIN, 0}; !closed_ && poll(&ready, 1, 0) > 0;) {
      const ssize_t n = recv(fd_, buffer, sizeof(buffer), 0);
      if (n <= 0) {
        closed_ = true;
      } else {
        received_.append(buffer, static_cast<std::size_t>(n));
      }
    }
    return received_;
  }
  bool closed() {
    Received();
    return closed_;
  }
  // The error code of the GOAWAY that came; -1 where none did.
  int GoAwayCode() {
    const std::string& bytes = Received();
    for (std::size_t at = 0; at + 9 <= bytes.size();) {
      const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[at + i]); };
      const std::size_t size = byte(0) << 16 | byte(1) << 8 | byte(2);
      if (at + 9 + size > bytes.size()) break;
      if (byte(3) == kGoAway && byte(9 + 7) != 0) return byte(9 + 7);
      at += 9 + size;
    }
    return -1;
  }

 private:
  const int fd_;
  std::string received_;
  bool closed_ = false;
};

class AbuseTest : public testing::Test {
 protected:
  void Serve(ServerOptions options = {}) {
    server_ = std::make_unique<Server>(std::move(options));
    auto service = std::make_shared<Async>();
    server_->AddService(service);
    server_->Unary(service.get(), &Async::RequestEcho, "flotilla.rpc.test.TestService/Echo",
                   [this](Call&, const Message& request) -> async::Task<absl::StatusOr<Message>> {
                     const int running = ++running_;
                     for (int most = most_; most < running && !most_.compare_exchange_weak(most, running);) {
                     }
                     co_await async::SleepFor(absl::Milliseconds(request.number()));
                     --running_;
                     co_return request;
                   });
    ASSERT_TRUE(server_->Start().ok());
    stub_ = Connect();
    ExpectServed();
  }
  // A client with a connection of its own.
  std::unique_ptr<TestService::Stub> Connect() {
    grpc::ChannelArguments own;
    own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return TestService::NewStub(grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(server_->port()),
                                                          grpc::InsecureChannelCredentials(), own));
  }
  absl::Status Echo(const std::string& text = "", const std::string& metadata = "") {
    return EchoBy(*stub_, text, metadata);
  }
  static absl::Status EchoBy(TestService::Stub& stub, const std::string& text, const std::string& metadata) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    if (!metadata.empty()) context.AddMetadata("x-more", metadata);
    Message request, response;
    request.set_text(text);
    return errors::FromGrpc(stub.Echo(&context, request, &response));
  }
  void ExpectServed(int calls = 20) {
    for (int i = 0; i < calls; ++i) {
      const absl::Status status = Echo("good");
      ASSERT_TRUE(status.ok()) << status;
    }
  }
  std::vector<std::unique_ptr<RawConnection>> Connections(int count) {
    std::vector<std::unique_ptr<RawConnection>> all;
    for (int i = 0; i < count; ++i) all.push_back(std::make_unique<RawConnection>(server_->port()));
    return all;
  }

  std::unique_ptr<Server> server_;
  std::unique_ptr<TestService::Stub> stub_;
  std::atomic<int> running_ = 0, most_ = 0;
};

TEST_F(AbuseTest, WhoNeverFinishesTheHandshakeIsLetGo) {
  Serve({.handshake_timeout = absl::Seconds(1)});
  auto silent = Connections(100), half = Connections(100), no_settings = Connections(100);
  for (auto& each : half) each->Send(std::string(kPreface).substr(0, 10));
  for (auto& each : no_settings) each->Send(std::string(kPreface) + std::string("\0\0\0\4", 4));
  ExpectServed();
  for (auto* group : {&silent, &half, &no_settings}) {
    for (auto& each : *group) EXPECT_TRUE(Eventually([&] { return each->closed(); }));
  }
  ExpectServed();
}

TEST_F(AbuseTest, HalfRequestsHoldNobodyUp) {
  Serve();
  // More streams than a loop accepts calls at once: the headers end never, or the message does.
  auto connections = Connections(50);
  const std::string headers = Headers();
  for (auto& each : connections) {
    ASSERT_TRUE(each->Open());
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(each->Send(MakeFrame(kHeaders, kEndHeaders, 2 * i + 1, headers)));
      ASSERT_TRUE(each->Send(MakeFrame(kData, 0, 2 * i + 1, std::string("\0\0\0\1\0x", 6))));
    }
    ASSERT_TRUE(each->Send(MakeFrame(kHeaders, 0, 101, headers.substr(0, 20))));
  }
  ExpectServed(200);
  for (auto& each : connections) EXPECT_FALSE(each->closed());
  connections.clear();
  ExpectServed();
}

TEST_F(AbuseTest, WhoFloodsWithPingsIsAskedToCalmDown) {
  Serve();
  auto connections = Connections(10);
  for (auto& each : connections) {
    ASSERT_TRUE(each->Open());
    for (int i = 0; i < 1000 && each->Send(MakeFrame(kPing, 0, 0, "12345678")); ++i) {
    }
  }
  ExpectServed();
  for (auto& each : connections) {
    EXPECT_TRUE(Eventually([&] { return each->closed(); }));
  }
  // What the server sent before it closed may be lost where it had unread bytes; from one of them it came.
  EXPECT_TRUE(std::any_of(connections.begin(), connections.end(),
                          [](auto& each) { return each->GoAwayCode() == kEnhanceYourCalm; }));
  ExpectServed();
}

TEST_F(AbuseTest, OversizedMessagesAndMetadataAreRefusedAlone) {
  Serve({.max_message_bytes = 1 << 20});
  // Whose connection gRPC may close: only the others must not notice.
  EXPECT_EQ(EchoBy(*Connect(), std::string((1 << 20) + 1, 'x'), "").code(), absl::StatusCode::kResourceExhausted);
  ExpectServed();
  EXPECT_EQ(EchoBy(*Connect(), "", std::string(17 << 10, 'x')).code(), absl::StatusCode::kResourceExhausted);
  ExpectServed();
  EXPECT_TRUE(Echo(std::string(1 << 19, 'x'), std::string(8 << 10, 'x')).ok());
  // A message that only says that it is large, and headers without an end.
  auto connections = Connections(2);
  ASSERT_TRUE(connections[0]->Open() && connections[1]->Open());
  connections[0]->Send(MakeFrame(kHeaders, kEndHeaders, 1, Headers()));
  connections[0]->Send(MakeFrame(kData, 0, 1, std::string("\0\x7f\xff\xff\xffx", 6)));
  connections[1]->Send(MakeFrame(kHeaders, 0, 1, Headers()));
  for (int i = 0; i < 10'000 && connections[1]->Send(MakeFrame(kContinuation, 0, 1, Literal("a", "b"))); ++i) {
  }
  ExpectServed();
}

// Calls of one connection, each of a message that is large and never ends; it keeps to HTTP/2's windows.
class Endless {
 public:
  Endless(int port, int calls) : connection_(port), left_(calls) {
    connection_.Open();
    for (int i = 0; i < calls; ++i) {
      connection_.Send(MakeFrame(kHeaders, kEndHeaders, 2 * i + 1, Headers()));
      connection_.Send(MakeFrame(kData, 0, 2 * i + 1, std::string("\0\0\x3d\x09\0", 5)));  // 4,000,000 bytes
      windows_[2 * i + 1] = initial_ - 5;
      window_ -= 5;
    }
  }
  // Sends what the windows allow.
  void Push() {
    Take();
    for (auto& [stream, window] : windows_) {
      const std::int64_t size = std::min<std::int64_t>({window_, window, 16'000});
      if (size <= 0 || connection_.closed()) continue;
      connection_.Send(MakeFrame(kData, 0, stream, std::string(static_cast<std::size_t>(size), 'x')));
      window -= size;
      window_ -= size;
      sent_ += size;
    }
  }
  std::int64_t sent() const { return sent_; }
  bool cancelled() const { return left_ > static_cast<int>(windows_.size()); }

 private:
  void Take() {
    const std::string& bytes = connection_.Received();
    const auto number = [&](std::size_t at, int size) {
      std::int64_t value = 0;
      for (int i = 0; i < size; ++i)
        value = value << 8 | static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(i)]);
      return value;
    };
    for (std::size_t size; at_ + 9 <= bytes.size(); at_ += 9 + size) {
      size = static_cast<std::size_t>(number(at_, 3));
      if (at_ + 9 + size > bytes.size()) return;
      const auto type = number(at_ + 3, 1), flags = number(at_ + 4, 1);
      const auto stream = static_cast<int>(number(at_ + 5, 4));
      if (type == kResetStream) windows_.erase(stream);
      if (type == kWindowUpdate && stream == 0) window_ += number(at_ + 9, 4);
      if (type == kWindowUpdate && windows_.contains(stream)) windows_[stream] += number(at_ + 9, 4);
      if (type == kPing && flags == 0) connection_.Send(MakeFrame(kPing, kAck, 0, bytes.substr(at_ + 9, 8)));
      if (type != kSettings || flags != 0) continue;
      for (std::size_t i = 0; i + 6 <= size; i += 6) {
        if (number(at_ + 9 + i, 2) != kInitialWindowSize) continue;
        const std::int64_t next = number(at_ + 9 + i + 2, 4);
        for (auto& [each, window] : windows_) window += next - initial_;
        initial_ = next;
      }
      connection_.Send(MakeFrame(kSettings, kAck, 0, ""));
    }
  }

  RawConnection connection_;
  const int left_;
  std::size_t at_ = 0;
  std::int64_t initial_ = 65535, window_ = 65535, sent_ = 0;
  std::map<int, std::int64_t> windows_;  // of the calls that run
};

TEST_F(AbuseTest, RequestsThatNeverEndAreCancelledBeforeTheyFillTheMemory) {
  Serve();
  Endless first(server_->port(), 300), second(server_->port(), 300);  // 2.4 GB, were they taken
  EXPECT_TRUE(Eventually([&] {
    for (int i = 0; i < 100; ++i) {
      first.Push();
      second.Push();
    }
    return first.cancelled() || second.cancelled();
  }));
  EXPECT_LT(first.sent() + second.sent(), 1'500'000'000);
  EXPECT_TRUE(Eventually([&] { return Echo("good").ok(); }));
}

// Rapid reset (CVE-2023-44487): calls that are cancelled as soon as they are begun count for no limit of a connection's
// streams. gRPC 1.51 takes all that come, so who sends them for long fills the memory (deploy/README.md, Not there);
// what is promised is that a burst passes by and leaves nothing. Half of them have their request and reach the
// handlers.
TEST_F(AbuseTest, ABurstOfCallsThatAreResetAtOncePassesBy) {
  Serve();
  const std::string headers = Headers(), request("\0\0\0\0\0", 5);
  auto connections = Connections(4);
  for (auto& each : connections) {
    ASSERT_TRUE(each->Open());
    for (int stream = 1; stream < 4000; stream += 2) {
      std::string call = MakeFrame(kHeaders, kEndHeaders, stream, headers);
      if (stream % 4 == 1) call += MakeFrame(kData, kEndStream, stream, request);
      call += MakeFrame(kResetStream, 0, stream, std::string("\0\0\0\x8", 4));
      if (!each->Send(call)) break;  // the server has had enough of it
      each->Received();
    }
  }
  ExpectServed(200);
  connections.clear();
  EXPECT_TRUE(Eventually([&] { return running_ == 0; }));
}

TEST_F(AbuseTest, AConnectionHasOnlySoManyCallsAtOnce) {
  Serve({.loops = 1, .max_streams = 3});
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  grpc::CompletionQueue queue;
  Message request;
  request.set_number(20);
  std::vector<grpc::Status> statuses(30);
  std::vector<Message> responses(30);
  std::vector<std::unique_ptr<grpc::ClientAsyncResponseReader<Message>>> calls;
  for (std::size_t i = 0; i < 30; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    calls.push_back(stub_->AsyncEcho(contexts.back().get(), request, &queue));
    calls.back()->Finish(&responses[i], &statuses[i], nullptr);
  }
  void* tag = nullptr;
  bool ok = false;
  for (int i = 0; i < 30; ++i) queue.Next(&tag, &ok);
  for (const grpc::Status& status : statuses) EXPECT_TRUE(status.ok()) << status.error_message();
  server_.reset();
  EXPECT_EQ(most_, 3);
}

}  // namespace
}  // namespace flotilla::rpc
