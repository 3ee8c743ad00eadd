// TLS between clients and services, mutual between services.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/grpcpp.h"

namespace flotilla::identity {

// The name in a service's certificate (a DNS name among its alternative names): "order.flotilla".
std::string CertificateName(const std::string& service);

// The service whose verified certificate the peer has shown; "" where it has shown none, or one that names no service
// or several.
std::string PeerService(const grpc::AuthContext& peer);

struct TlsFiles {
  std::string certificate;  // PEM, the chain from the own certificate on
  std::string key;          // PEM
  std::string ca;           // PEM, of those who sign the services' certificates and nothing else
};

// Both sides of a service: it serves with its certificate and shows it to the services that it calls. Files that are
// replaced are taken up by new connections within seconds, without a restart.
struct TlsCredentials {
  std::shared_ptr<grpc::ServerCredentials> server;    // clients need no certificate; one that is shown must be good
  std::shared_ptr<grpc::ChannelCredentials> channel;  // the server's name is checked
};

// INVALID_ARGUMENT naming the flag whose file is missing, malformed, or does not fit the others.
absl::StatusOr<TlsCredentials> LoadTls(const TlsFiles& files);

}  // namespace flotilla::identity
