// The JSON of tokens and key sets.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/struct.pb.h"

namespace flotilla::identity {

// INVALID_ARGUMENT where the text is no JSON object.
absl::StatusOr<google::protobuf::Struct> ParseObject(absl::string_view text);
// A field that is a string; "" where it is absent or something else.
const std::string& Text(const google::protobuf::Struct& object, const char* field);
// Base64url without padding (RFC 7515); false for anything else.
bool DecodeBase64Url(absl::string_view text, std::string* out);
std::string EncodeBase64Url(absl::string_view bytes);

}  // namespace flotilla::identity
