// flotilla-token: a user's token, signed with the development key that deploy/local/dev-ca makes. In production the
// identity provider gives tokens.
//
//   flotilla-token --user=alice [--role=operator] [--life=12h] --token_key=<file>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include "absl/flags/flag.h"
#include "absl/time/clock.h"
#include "config/config.h"
#include "identity/signer.h"
#include "validation/validation.h"

ABSL_FLAG(std::string, user, "", "Whom the token speaks for.");
ABSL_FLAG(std::string, role, "", "operator, or empty.");
ABSL_FLAG(absl::Duration, life, absl::Hours(12), "How long it is good.");
ABSL_FLAG(std::string, token_key, "", "File with the private RSA or P-256 key (PEM) that signs it.");

namespace {

[[noreturn]] void Fail(const std::string& problem) {
  std::cerr << "flotilla-token: " << problem << "\n";
  std::exit(2);
}

std::string Read(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

int main(int argc, char** argv) {
  using namespace flotilla;
  if (const absl::Status status = config::Parse(argc, argv); !status.ok()) Fail(std::string(status.message()));
  if (!validation::IsName(absl::GetFlag(FLAGS_user))) Fail(std::string("--user: ") + validation::kNameRule);
  const auto signer = identity::Signer::FromPem(Read(absl::GetFlag(FLAGS_token_key)));
  if (!signer.ok()) Fail("--token_key: " + std::string(signer.status().message()));
  const absl::Time now = absl::Now();
  std::cout << signer->Sign(identity::ToClaims({.issuer = identity::kDevelopmentIssuer,
                                                .audience = identity::kDevelopmentAudience,
                                                .user = absl::GetFlag(FLAGS_user),
                                                .role = absl::GetFlag(FLAGS_role),
                                                .now = now,
                                                .expires = now + absl::GetFlag(FLAGS_life)}))
            << "\n";
  return 0;
}
