#include "identity/tls.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "grpcpp/security/tls_certificate_provider.h"
#include "grpcpp/security/tls_credentials_options.h"
#include "openssl/pem.h"
#include "openssl/x509.h"

namespace flotilla::identity {
namespace {

constexpr char kDomain[] = ".flotilla";
constexpr unsigned kLookEverySeconds = 2;

absl::Status Refuse(const char* flag, const std::string& path, const char* why) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag, ": ", path, " ", why));
}

using File = std::unique_ptr<BIO, decltype(&BIO_free)>;
File Open(const std::string& path) { return {BIO_new_file(path.c_str(), "r"), &BIO_free}; }

using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
Certificate ReadCertificate(const std::string& path) {
  const File file = Open(path);
  return {file == nullptr ? nullptr : PEM_read_bio_X509(file.get(), nullptr, nullptr, nullptr), &X509_free};
}

// gRPC would only log such mistakes, and refuse every connection.
absl::Status Check(const TlsFiles& files) {
  const Certificate certificate = ReadCertificate(files.certificate);
  if (certificate == nullptr) return Refuse("tls_cert_file", files.certificate, "cannot be read as a PEM certificate");
  const File key_file = Open(files.key);
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      key_file == nullptr ? nullptr : PEM_read_bio_PrivateKey(key_file.get(), nullptr, nullptr, nullptr),
      &EVP_PKEY_free);
  if (key == nullptr) return Refuse("tls_key_file", files.key, "cannot be read as a PEM private key");
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return Refuse("tls_key_file", files.key, "is not the key of --tls_cert_file's certificate");
  }
  if (ReadCertificate(files.ca) == nullptr)
    return Refuse("tls_ca_file", files.ca, "cannot be read as a PEM certificate");
  return absl::OkStatus();
}

}  // namespace

std::string CertificateName(const std::string& service) { return absl::StrCat(service, kDomain); }

std::string PeerService(const grpc::AuthContext& peer) {
  std::string found;
  for (const grpc::string_ref& name : peer.FindPropertyValues(GRPC_PEER_DNS_PROPERTY_NAME)) {
    absl::string_view service(name.data(), name.size());
    if (!absl::ConsumeSuffix(&service, kDomain)) continue;
    if (!found.empty()) return "";
    found = std::string(service);
  }
  return found;
}

absl::StatusOr<TlsCredentials> LoadTls(const TlsFiles& files) {
  if (absl::Status status = Check(files); !status.ok()) return status;
  const auto provider = std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      files.key, files.certificate, files.ca, kLookEverySeconds);
  grpc::experimental::TlsServerCredentialsOptions server(provider);
  server.watch_root_certs();
  server.watch_identity_key_cert_pairs();
  server.set_cert_request_type(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  grpc::experimental::TlsChannelCredentialsOptions channel;
  channel.set_certificate_provider(provider);
  channel.watch_root_certs();
  channel.watch_identity_key_cert_pairs();
  return TlsCredentials{grpc::experimental::TlsServerCredentials(server), grpc::experimental::TlsCredentials(channel)};
}

}  // namespace flotilla::identity
