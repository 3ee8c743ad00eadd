// What a statement returned: rows of fields in PostgreSQL's text form.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

struct pg_result;  // libpq's

namespace flotilla::postgres {

// Valid while its row is, or the rows.
class Field {
 public:
  Field(const pg_result* result, int row, int column) : result_(result), row_(row), column_(column) {}
  bool is_null() const;
  const char* c_str() const { return view().data(); }  // "" for NULL; ends in NUL
  std::string_view view() const;                       // empty for NULL

  // bool, numbers, std::string. Throws std::invalid_argument where the text is none, and for NULL.
  template <class T>
  T as() const {
    if (is_null()) throw std::invalid_argument("a field is NULL");
    return Parse<T>(view());
  }
  template <class T>
  T as(T if_null) const {
    return is_null() ? if_null : Parse<T>(view());
  }

 private:
  template <class T>
  static T Parse(std::string_view text) {
    if constexpr (std::is_same_v<T, std::string>) {
      return T(text);
    } else if constexpr (std::is_same_v<T, bool>) {
      if (text != "t" && text != "f") throw std::invalid_argument("a field is no boolean");
      return text == "t";
    } else {
      T value{};
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error != std::errc{} || end != text.data() + text.size())
        throw std::invalid_argument("a field is no number of its type");
      return value;
    }
  }
  const pg_result* result_;
  int row_;
  int column_;
};

// Owns its share of the rows.
class Row {
 public:
  Row(std::shared_ptr<const pg_result> result, int row) : result_(std::move(result)), row_(row) {}
  Field operator[](int column) const;  // throws std::out_of_range
  int size() const;                    // columns

 private:
  std::shared_ptr<const pg_result> result_;
  int row_;
};

class Rows {
 public:
  Rows() = default;
  explicit Rows(std::shared_ptr<const pg_result> result) : result_(std::move(result)) {}

  std::size_t size() const;
  bool empty() const { return size() == 0; }
  Row operator[](std::size_t row) const;  // throws std::out_of_range
  std::string_view command() const;       // the server's word for what was done, such as COMMIT
  std::size_t affected_rows() const;      // by INSERT, UPDATE, DELETE; those of a SELECT

  class Iterator {
   public:
    using value_type = Row;
    using difference_type = std::ptrdiff_t;
    Iterator(const Rows& rows, std::size_t row) : rows_(&rows), row_(row) {}
    Row operator*() const { return (*rows_)[row_]; }
    Iterator& operator++() { return ++row_, *this; }
    bool operator==(const Iterator& other) const { return row_ == other.row_; }

   private:
    const Rows* rows_;
    std::size_t row_;
  };
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, size()}; }

 private:
  std::shared_ptr<const pg_result> result_;
};

std::string FromBytes(std::string_view hex);           // a bytea field
std::vector<std::string> Elements(const char* array);  // of an array's field, without those that are NULL
inline std::vector<std::string> Elements(Field array) { return Elements(array.c_str()); }

}  // namespace flotilla::postgres
