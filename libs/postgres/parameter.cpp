#include "postgres/parameter.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"

namespace flotilla::postgres {
namespace {

// Types by their oids: pg_type.dat of PostgreSQL 15; those of built-in types never change.
enum Type : unsigned {
  kBool = 16,
  kBytea = 17,
  kInt8 = 20,
  kInt2 = 21,
  kInt4 = 23,
  kText = 25,
  kBpchar = 1042,
  kVarchar = 1043,
  kUuid = 2950,
  kXid8 = 5069,
};

constexpr std::array<std::pair<unsigned, Type>, 10> kElements = {{{1000, kBool},
                                                                  {1001, kBytea},
                                                                  {1016, kInt8},
                                                                  {1005, kInt2},
                                                                  {1007, kInt4},
                                                                  {1009, kText},
                                                                  {1014, kBpchar},
                                                                  {1015, kVarchar},
                                                                  {2951, kUuid},
                                                                  {271, kXid8}}};

// An array's head: dimensions, flags, type of its elements; then of the one dimension the size and the first index. An
// empty array has no dimension.
constexpr std::size_t kTypeAt = 8;
constexpr std::size_t kHead = 20;

template <class Number>
void Append(Number number, std::string& out) {
  const auto bits = static_cast<std::make_unsigned_t<Number>>(number);
  for (int shift = 8 * (static_cast<int>(sizeof(Number)) - 1); shift >= 0; shift -= 8) {
    out += static_cast<char>(bits >> shift & 0xff);
  }
}

template <class Number>
Number Read(std::string_view in) {
  std::make_unsigned_t<Number> bits = 0;
  for (std::size_t i = 0; i < sizeof(Number); ++i) bits = bits << 8 | static_cast<unsigned char>(in[i]);
  return static_cast<Number>(bits);
}

void AppendHead(unsigned type, std::size_t size, std::string& out) {
  Append<std::int32_t>(size == 0 ? 0 : 1, out);
  Append<std::int32_t>(0, out);
  Append<std::uint32_t>(type, out);
  if (size == 0) return;
  Append(static_cast<std::int32_t>(size), out);
  Append<std::int32_t>(1, out);
}

template <class Text>
std::string Encode(unsigned type, std::span<const Text> texts) {
  std::size_t size = kHead;
  for (const Text& text : texts) size += sizeof(std::int32_t) + text.size();
  std::string out;
  out.reserve(size);
  AppendHead(type, texts.size(), out);
  for (const Text& text : texts) {
    Append(static_cast<std::int32_t>(text.size()), out);
    out += text;
  }
  return out;
}

// The elements of an encoded array.
template <class Visit>
void ForEach(std::string_view array, Visit visit) {
  if (array.size() < kHead) return;
  array.remove_prefix(kHead);
  while (!array.empty()) {
    const auto size = static_cast<std::size_t>(Read<std::int32_t>(array));
    visit(array.substr(sizeof(std::int32_t), size));
    array.remove_prefix(sizeof(std::int32_t) + size);
  }
}

std::size_t SizeOf(std::string_view array) {
  return array.size() < kHead ? 0 : static_cast<std::size_t>(Read<std::int32_t>(array.substr(kTypeAt + 4)));
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  throw std::invalid_argument("an element is no UUID");
}

void AppendUuid(std::string_view text, std::string& out) {
  constexpr std::size_t kDigits = 32;
  std::size_t digits = 0;
  int high = 0;
  for (const char c : text) {
    if (c == '-') continue;
    const int digit = HexDigit(c);
    if (digits++ % 2 == 0) {
      high = digit;
    } else {
      out += static_cast<char>(high << 4 | digit);
    }
  }
  if (digits != kDigits) throw std::invalid_argument("an element is no UUID");
}

std::string UuidArray(std::string_view texts) {
  constexpr std::size_t kUuidBytes = 16;
  const std::size_t size = SizeOf(texts);
  std::string out;
  out.reserve(kHead + size * (sizeof(std::int32_t) + kUuidBytes));
  AppendHead(kUuid, size, out);
  ForEach(texts, [&](std::string_view text) {
    Append(static_cast<std::int32_t>(kUuidBytes), out);
    AppendUuid(text, out);
  });
  return out;
}

template <class Number>
std::string NumberArray(unsigned type, std::string_view numbers) {
  const std::size_t size = SizeOf(numbers);
  std::string out;
  out.reserve(kHead + size * (sizeof(std::int32_t) + sizeof(Number)));
  AppendHead(type, size, out);
  ForEach(numbers, [&](std::string_view element) {
    const auto number = Read<std::int64_t>(element);
    if (!std::in_range<Number>(number)) throw std::invalid_argument("an element is out of its type's range");
    Append(static_cast<std::int32_t>(sizeof(Number)), out);
    Append(static_cast<Number>(number), out);
  });
  return out;
}

std::string BoolArray(std::string_view numbers) {
  std::string out;
  AppendHead(kBool, SizeOf(numbers), out);
  ForEach(numbers, [&](std::string_view element) {
    Append<std::int32_t>(1, out);
    out += Read<std::int64_t>(element) == 0 ? '\0' : '\1';
  });
  return out;
}

void SetType(unsigned type, std::string& array) {
  std::string bytes;
  Append<std::uint32_t>(type, bytes);
  array.replace(kTypeAt, bytes.size(), bytes);
}

}  // namespace

Parameter::Wire Parameter::For(unsigned type) && {
  if (form_ == Form::kText) return {.value = std::move(value_), .binary = false};
  if (form_ == Form::kBytes) {
    if (type != kBytea) throw std::invalid_argument("bytes for what is no bytea");
    return {.value = std::move(value_), .binary = true};
  }
  const auto* array = std::find_if(kElements.begin(), kElements.end(), [&](const auto& e) { return e.first == type; });
  if (array == kElements.end()) throw std::invalid_argument(absl::StrCat("an array for type ", type));
  return std::move(*this).ArrayOf(array->second);
}

Parameter::Wire Parameter::ArrayOf(unsigned element) && {
  const auto is = [&](Form form) {
    if (form_ != form) throw std::invalid_argument("an array's elements are of another type than its statement's");
  };
  const auto as = [](std::string value) { return Wire{.value = std::move(value), .binary = true}; };
  switch (element) {
    case kText:
    case kBpchar:
    case kVarchar:
      is(Form::kTexts);
      SetType(element, value_);
      break;
    case kUuid:
      is(Form::kTexts);
      return as(UuidArray(value_));
    case kBytea:
      is(Form::kByteArray);
      break;
    case kInt2:
      is(Form::kNumbers);
      return as(NumberArray<std::int16_t>(element, value_));
    case kInt4:
      is(Form::kNumbers);
      return as(NumberArray<std::int32_t>(element, value_));
    case kBool:
      is(Form::kNumbers);
      return as(BoolArray(value_));
    default:
      is(Form::kNumbers);
      SetType(element, value_);
  }
  return as(std::move(value_));
}

Parameter Array(std::span<const std::string> texts) { return {Parameter::Form::kTexts, Encode(kText, texts)}; }
Parameter Array(std::span<const std::string_view> texts) { return {Parameter::Form::kTexts, Encode(kText, texts)}; }

Parameter Array(std::span<const std::int64_t> numbers) {
  std::string out;
  out.reserve(kHead + numbers.size() * (sizeof(std::int32_t) + sizeof(std::int64_t)));
  AppendHead(kInt8, numbers.size(), out);
  for (const std::int64_t number : numbers) {
    Append(static_cast<std::int32_t>(sizeof(number)), out);
    Append(number, out);
  }
  return {Parameter::Form::kNumbers, std::move(out)};
}

Parameter ByteArray(std::span<const std::string> bytes) { return {Parameter::Form::kByteArray, Encode(kBytea, bytes)}; }
Parameter ByteArray(std::span<const std::string_view> bytes) {
  return {Parameter::Form::kByteArray, Encode(kBytea, bytes)};
}
Parameter Bytes(std::string_view bytes) { return {Parameter::Form::kBytes, std::string(bytes)}; }

std::string Literal(std::span<const std::string> texts) {
  std::size_t size = 2;
  for (const std::string& text : texts) size += text.size() + 3;
  std::string out;
  out.reserve(size + size / 16);
  out += '{';
  for (std::string_view text : texts) {
    if (out.size() > 1) out += ',';
    out += '"';  // always quoted, so that neither NULL, nor spaces, nor the empty text are special
    for (;;) {
      const std::size_t special = text.find_first_of("\"\\");
      out.append(text.substr(0, special));
      if (special == std::string_view::npos) break;
      out += '\\';
      out += text[special];
      text.remove_prefix(special + 1);
    }
    out += '"';
  }
  return out += '}';
}

std::string Literal(std::span<const std::int64_t> numbers) {
  std::string out = "{";
  for (const std::int64_t number : numbers) {
    if (out.size() > 1) out += ',';
    absl::StrAppend(&out, number);
  }
  return out += '}';
}

}  // namespace flotilla::postgres
