// Parameters of statements. Arrays and bytes travel in PostgreSQL's binary form
// (https://www.postgresql.org/docs/15/protocol-overview.html#PROTOCOL-FORMAT-CODES; the layout of arrays is
// array_recv's in its source): as literals they would be quoted here and parsed there, which a batch pays for every
// element. All else travels as text.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace flotilla::postgres {

// Owns its value.
class Parameter {
 public:
  Parameter(std::string text) : value_(std::move(text)) {}  // NOLINT(google-explicit-constructor): any value is one
  Parameter(std::string_view text) : value_(text) {}        // NOLINT(google-explicit-constructor)
  Parameter(const char* text) : value_(text) {}             // NOLINT(google-explicit-constructor)
  Parameter(bool value) : value_(value ? "t" : "f") {}      // NOLINT(google-explicit-constructor)
  template <class Number>
    requires(std::integral<Number> || std::floating_point<Number>)
  Parameter(Number number) {  // NOLINT(google-explicit-constructor)
    char text[32];
    value_.assign(text, std::to_chars(text, text + sizeof(text), number).ptr);
  }

  // What is sent for a parameter of the type with this oid.
  struct Wire {
    std::string value;
    bool binary = false;
  };
  // Throws std::invalid_argument where the value cannot be of the type: an element that is no UUID or is out of range,
  // or an array for what is none.
  Wire For(unsigned type) &&;

 private:
  friend Parameter Array(std::span<const std::string> texts);
  friend Parameter Array(std::span<const std::string_view> texts);
  friend Parameter Array(std::span<const std::int64_t> numbers);
  friend Parameter ByteArray(std::span<const std::string> bytes);
  friend Parameter ByteArray(std::span<const std::string_view> bytes);
  friend Parameter Bytes(std::string_view bytes);
  enum class Form { kText, kBytes, kTexts, kNumbers, kByteArray };
  Parameter(Form form, std::string value) : form_(form), value_(std::move(value)) {}
  Wire ArrayOf(unsigned element) &&;

  Form form_ = Form::kText;
  std::string value_;  // of the arrays: in binary, as of text[], bigint[] and bytea[]
};

// For unnest($1::type[]) and = ANY ($1::type[]), where the type is text, bpchar, varchar or uuid;
Parameter Array(std::span<const std::string> texts);
Parameter Array(std::span<const std::string_view> texts);
// bigint, int, smallint, boolean or xid8;
Parameter Array(std::span<const std::int64_t> numbers);
// bytea.
Parameter ByteArray(std::span<const std::string> bytes);
Parameter ByteArray(std::span<const std::string_view> bytes);
Parameter Bytes(std::string_view bytes);  // one bytea

// An array's literal, for an array within an array: an element of a text[] that the statement casts.
std::string Literal(std::span<const std::string> texts);
std::string Literal(std::span<const std::int64_t> numbers);

}  // namespace flotilla::postgres
