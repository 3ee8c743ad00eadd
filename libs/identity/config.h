// What the flags of identity come to: --auth, --jwks_file, --token_issuer, --token_audience, --tls_cert_file,
// --tls_key_file, --tls_ca_file.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "identity/tls.h"
#include "rpc/server.h"

namespace flotilla::identity {

struct Identity {
  TlsCredentials tls;  // null where the fleet talks without TLS
  std::shared_ptr<rpc::Interceptor> interceptor;
  std::shared_ptr<rpc::Interceptor> audit = {};  // null with --auth=off: nobody is known
};

// INVALID_ARGUMENT naming the flag. With --auth=on every flag must be set; what --auth=off leaves open is logged.
absl::StatusOr<Identity> FromFlags();

}  // namespace flotilla::identity
