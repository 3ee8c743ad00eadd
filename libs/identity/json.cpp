#include "identity/json.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "google/protobuf/util/json_util.h"

namespace flotilla::identity {

absl::StatusOr<google::protobuf::Struct> ParseObject(absl::string_view text) {
  google::protobuf::Struct object;
  if (!google::protobuf::util::JsonStringToMessage({text.data(), text.size()}, &object).ok()) {
    return absl::InvalidArgumentError("it is not a JSON object");
  }
  return object;
}

const std::string& Text(const google::protobuf::Struct& object, const char* field) {
  static const std::string none;
  const auto found = object.fields().find(field);
  return found == object.fields().end() ? none : found->second.string_value();
}

bool DecodeBase64Url(absl::string_view text, std::string* out) {
  // abseil would skip blanks and take padding.
  for (const char c : text) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_') return false;
  }
  return absl::WebSafeBase64Unescape(text, out);
}

std::string EncodeBase64Url(absl::string_view bytes) { return absl::WebSafeBase64Escape(bytes); }

}  // namespace flotilla::identity
