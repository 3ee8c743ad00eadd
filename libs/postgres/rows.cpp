#include "postgres/rows.h"

#include <libpq-fe.h>

#include <array>
#include <pqxx/array>

namespace flotilla::postgres {
namespace {

constexpr std::array<int, 256> kDigit = [] {
  std::array<int, 256> digits{};
  digits.fill(-1);
  for (int i = 0; i < 10; ++i) digits['0' + i] = i;
  for (int i = 0; i < 6; ++i) digits['a' + i] = digits['A' + i] = 10 + i;
  return digits;
}();

}  // namespace

bool Field::is_null() const { return PQgetisnull(result_, row_, column_) != 0; }

std::string_view Field::view() const {
  return {PQgetvalue(result_, row_, column_), static_cast<std::size_t>(PQgetlength(result_, row_, column_))};
}

int Row::size() const { return PQnfields(result_.get()); }

Field Row::operator[](int column) const {
  if (column < 0 || column >= size()) throw std::out_of_range("a row has no such column");
  return {result_.get(), row_, column};
}

std::size_t Rows::size() const { return result_ == nullptr ? 0 : static_cast<std::size_t>(PQntuples(result_.get())); }

Row Rows::operator[](std::size_t row) const {
  if (row >= size()) throw std::out_of_range("there is no such row");
  return {result_, static_cast<int>(row)};
}

std::string_view Rows::command() const {
  return result_ == nullptr ? "" : PQcmdStatus(const_cast<pg_result*>(result_.get()));  // which changes nothing
}

std::size_t Rows::affected_rows() const {
  if (result_ == nullptr) return 0;
  const std::string_view text = PQcmdTuples(const_cast<pg_result*>(result_.get()));  // which changes nothing
  std::size_t count = 0;
  std::from_chars(text.data(), text.data() + text.size(), count);
  return count;
}

std::string FromBytes(std::string_view hex) {
  if (!hex.starts_with("\\x") || hex.size() % 2 != 0) throw std::invalid_argument("not a bytea in hex format");
  hex.remove_prefix(2);
  std::string out(hex.size() / 2, '\0');
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = kDigit[static_cast<unsigned char>(hex[2 * i])];
    const int low = kDigit[static_cast<unsigned char>(hex[2 * i + 1])];
    if (high < 0 || low < 0) throw std::invalid_argument("not a bytea in hex format");
    out[i] = static_cast<char>(high << 4 | low);
  }
  return out;
}

std::vector<std::string> Elements(const char* array) {
  std::vector<std::string> out;
  pqxx::array_parser parser(array);
  for (auto item = parser.get_next(); item.first != pqxx::array_parser::done; item = parser.get_next()) {
    if (item.first == pqxx::array_parser::string_value) out.push_back(item.second);
  }
  return out;
}

}  // namespace flotilla::postgres
