#include "identity/tls.h"

#include <random>

#include "absl/strings/str_cat.h"
#include "async/task.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "identity/test_ca.h"
#include "rpc/server.h"
#include "testing/eventually.h"

namespace flotilla::identity {
namespace {

using testing::HasSubstr;

class TlsTest : public testing::Test {
 protected:
  TlsTest() : folder_(testing::TempDir() + absl::StrCat("tls-", std::random_device{}())) {
    std::filesystem::create_directories(folder_);
    Write(ca_.Issue("DNS:order.flotilla"));
    WriteFile(files_.ca, ca_.certificate());
  }
  ~TlsTest() override { std::filesystem::remove_all(folder_); }
  void Write(const TestCa::Pair& pair) const {
    WriteFile(files_.certificate, pair.certificate);
    WriteFile(files_.key, pair.key);
  }
  std::string Error() const { return std::string(LoadTls(files_).status().message()); }
  // Asks the server for its health over a new connection.
  static grpc::Status Ask(int port, std::shared_ptr<grpc::ChannelCredentials> credentials, const std::string& name) {
    grpc::ChannelArguments args;
    args.SetSslTargetNameOverride(name);
    args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto stub = grpc::health::v1::Health::NewStub(
        grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port), credentials, args));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    grpc::health::v1::HealthCheckResponse response;
    return stub->Check(&context, {}, &response);
  }
  std::shared_ptr<grpc::ChannelCredentials> With(const std::string& ca, const TestCa::Pair& pair) const {
    return grpc::SslCredentials(
        {.pem_root_certs = ca, .pem_private_key = pair.key, .pem_cert_chain = pair.certificate});
  }

  const TestCa ca_;
  const std::filesystem::path folder_;
  const TlsFiles files_{.certificate = folder_ / "cert", .key = folder_ / "key", .ca = folder_ / "ca"};
};

TEST_F(TlsTest, WhatIsWrongWithTheFilesIsNamed) {
  EXPECT_EQ(Error(), "");
  WriteFile(files_.key, ca_.Issue("DNS:x").key);
  EXPECT_THAT(Error(), HasSubstr("--tls_key_file"));
  WriteFile(files_.key, "rubbish");
  EXPECT_THAT(Error(), HasSubstr("--tls_key_file"));
  std::filesystem::remove(files_.certificate);
  EXPECT_THAT(Error(), HasSubstr("--tls_cert_file"));
  Write(ca_.Issue("DNS:order.flotilla"));
  WriteFile(files_.ca, "");
  EXPECT_THAT(Error(), HasSubstr("--tls_ca_file"));
}

TEST_F(TlsTest, OnlyPeersOfOurAuthorityWithTheRightNameConnect) {
  const auto tls = LoadTls(files_);
  ASSERT_TRUE(tls.ok()) << tls.status();
  rpc::Server server({.credentials = tls->server});
  ASSERT_TRUE(server.Start().ok());
  const auto ask = [&](std::shared_ptr<grpc::ChannelCredentials> credentials, const char* name = "order.flotilla") {
    return Ask(server.port(), std::move(credentials), name).error_code();
  };
  EXPECT_EQ(ask(tls->channel), grpc::StatusCode::OK);
  EXPECT_EQ(ask(tls->channel, "payment.flotilla"), grpc::StatusCode::UNAVAILABLE);  // an impostor
  EXPECT_EQ(ask(grpc::InsecureChannelCredentials()), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ask(With(ca_.certificate(), {})), grpc::StatusCode::OK);  // a user has no certificate
  const TestCa other;
  EXPECT_EQ(ask(With(other.certificate(), {})), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ask(With(ca_.certificate(), other.Issue("DNS:order.flotilla"))), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ask(With(ca_.certificate(), ca_.Issue("DNS:order.flotilla", -60))), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ask(With(ca_.certificate(), ca_.Issue("DNS:order.flotilla"))), grpc::StatusCode::OK);
}

TEST_F(TlsTest, ANewCertificateIsTakenUpByTheRunningServerAndItsChannels) {
  const auto tls = LoadTls(files_);
  ASSERT_TRUE(tls.ok()) << tls.status();
  rpc::Server server({.credentials = tls->server});
  ASSERT_TRUE(server.Start().ok());
  const TestCa next;
  Write(next.Issue("DNS:order.flotilla"));
  WriteFile(files_.ca, ca_.certificate() + next.certificate());
  EXPECT_TRUE(Eventually([&] { return Ask(server.port(), With(next.certificate(), {}), "order.flotilla").ok(); }))
      << "the server still shows the old certificate";
  EXPECT_TRUE(Eventually([&] { return Ask(server.port(), tls->channel, "order.flotilla").ok(); }));
}

}  // namespace
}  // namespace flotilla::identity
