#include "validation/validation.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "errors/errors.h"

namespace flotilla::validation {
namespace {

constexpr std::size_t kMaxLength = 64;
constexpr int kDefaultPage = 50;
constexpr int kMaxPage = 1000;

bool Fits(std::string_view text) { return !text.empty() && text.size() <= kMaxLength; }

}  // namespace

bool IsName(std::string_view text) {
  return Fits(text) && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
         });
}

bool IsKey(std::string_view text) {
  return Fits(text) && std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isprint(c); });
}

bool IsUuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !absl::ascii_isxdigit(static_cast<unsigned char>(text[i]))) return false;
  }
  return true;
}

bool IsCurrency(std::string_view text) {
  return text.size() == 3 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isupper(c); });
}

absl::Status CheckUser(std::string_view user_id) {
  if (!user_id.empty()) return absl::OkStatus();
  return errors::Make(absl::StatusCode::kUnauthenticated, "NO_USER", "the call carries no user");
}

absl::Status CheckNote(std::string_view note, std::size_t max_bytes, bool required) {
  const bool missing = required && note.empty();
  if (!missing && note.size() <= max_bytes && note.find('\0') == std::string_view::npos) return absl::OkStatus();
  return errors::InvalidField("note", absl::StrCat("must be ", required ? 1 : 0, " to ", max_bytes, " bytes of text"));
}

absl::StatusOr<int> PageSize(std::int32_t page_size, std::string_view field) {
  if (page_size < 0 || page_size > kMaxPage) return errors::InvalidField(field, "must be 0 to 1000");
  return page_size == 0 ? kDefaultPage : page_size;
}

absl::Status ForeignToken() { return errors::InvalidField("page_token", "was not given by this service"); }

}  // namespace flotilla::validation
