#include "identity/config.h"

#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "identity/audit.h"
#include "identity/interceptor.h"
#include "identity/key_file.h"
#include "telemetry/log.h"

ABSL_FLAG(std::string, auth, "on",
          "on: users need a token, services a certificate; off: whoever reaches the port is believed, for tests only.");
ABSL_FLAG(std::string, jwks_file, "",
          "JWK Set with the keys that sign users' tokens (RS256, ES256, HS256); read again when it changes.");
ABSL_FLAG(std::string, token_issuer, "", "What a token's iss must be.");
ABSL_FLAG(std::string, token_audience, "", "What a token's aud must be or hold.");
ABSL_FLAG(std::string, tls_cert_file, "",
          "This service's certificate (PEM) with the alternative name <service>.flotilla; read again when it changes.");
ABSL_FLAG(std::string, tls_key_file, "", "Its private key (PEM).");
ABSL_FLAG(std::string, tls_ca_file, "", "Certificates (PEM) of those who sign the services' certificates.");

namespace flotilla::identity {
namespace {

absl::Status Require(const char* flag, const std::string& value) {
  if (!value.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", flag, ": must be set (or --auth=off for tests)"));
}

absl::StatusOr<TlsCredentials> Tls() {
  return LoadTls({.certificate = absl::GetFlag(FLAGS_tls_cert_file),
                  .key = absl::GetFlag(FLAGS_tls_key_file),
                  .ca = absl::GetFlag(FLAGS_tls_ca_file)});
}

absl::StatusOr<Identity> Guarded() {
  for (const auto& [flag, value] : {std::pair("tls_cert_file", absl::GetFlag(FLAGS_tls_cert_file)),
                                    std::pair("tls_key_file", absl::GetFlag(FLAGS_tls_key_file)),
                                    std::pair("tls_ca_file", absl::GetFlag(FLAGS_tls_ca_file)),
                                    std::pair("jwks_file", absl::GetFlag(FLAGS_jwks_file)),
                                    std::pair("token_issuer", absl::GetFlag(FLAGS_token_issuer)),
                                    std::pair("token_audience", absl::GetFlag(FLAGS_token_audience))}) {
    if (absl::Status status = Require(flag, value); !status.ok()) return status;
  }
  absl::StatusOr<TlsCredentials> tls = Tls();
  if (!tls.ok()) return tls.status();
  absl::StatusOr<std::unique_ptr<KeyFile>> keys = KeyFile::Open(absl::GetFlag(FLAGS_jwks_file));
  if (!keys.ok()) return absl::InvalidArgumentError(absl::StrCat("--jwks_file: ", keys.status().message()));
  auto tokens =
      std::make_unique<TokenVerifier>(TokenVerifier::Options{.issuer = absl::GetFlag(FLAGS_token_issuer),
                                                             .audience = absl::GetFlag(FLAGS_token_audience)},
                                      [file = std::shared_ptr<KeyFile>(*std::move(keys))] { return file->keys(); });
  return Identity{*std::move(tls), std::make_shared<Guard>(std::move(tokens)), std::make_shared<Audit>()};
}

absl::StatusOr<Identity> Open() {
  Identity identity{.tls = {}, .interceptor = std::make_shared<Unguarded>()};
  if (!absl::GetFlag(FLAGS_tls_cert_file).empty()) {
    absl::StatusOr<TlsCredentials> tls = Tls();
    if (!tls.ok()) return tls.status();
    identity.tls = *std::move(tls);
  }
  telemetry::Warning("--auth=off: whoever reaches the port may do everything, as any user",
                     {{"tls", identity.tls.server == nullptr ? "off" : "on"}});
  return identity;
}

}  // namespace

absl::StatusOr<Identity> FromFlags() {
  const std::string auth = absl::GetFlag(FLAGS_auth);
  if (auth == "on") return Guarded();
  if (auth == "off") return Open();
  return absl::InvalidArgumentError("--auth: must be on or off");
}

}  // namespace flotilla::identity
