// Key sets (--jwks_file), and what verifies with their keys.
#include "identity/key_set.h"

#include "fuzz/fuzz.h"

namespace flotilla::identity {
namespace {

void Run(std::string_view input) {
  const auto keys = KeySet::Parse({input.data(), input.size()});
  if (!keys.ok()) {
    fuzz::Require(absl::IsInvalidArgument(keys.status()), "a refusal blames the input");
    return;
  }
  fuzz::Require((*keys)->size() > 0, "a set holds a key");
  for (const char* kid : {"h", "e", "r"}) {
    const Key* key = (*keys)->Find(kid);
    if (key != nullptr) fuzz::Require(!key->Verifies("text", "no signature"), "nothing verifies by chance");
  }
}

}  // namespace
}  // namespace flotilla::identity

FLOTILLA_FUZZ(flotilla::identity::Run)
