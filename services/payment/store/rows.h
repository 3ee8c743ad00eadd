// Within this room: array parameters, one column of a list of values at a time.
#pragma once

#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "postgres/session.h"

namespace flotilla::payment {

template <class Rows, class Get>
postgres::Parameter TextColumn(const Rows& rows, Get get) {
  std::vector<std::string_view> column;
  column.reserve(std::size(rows));
  for (const auto& row : rows) column.push_back(get(row));
  return postgres::Array(column);
}

template <class Rows, class Get>
postgres::Parameter NumberColumn(const Rows& rows, Get get) {
  std::vector<std::int64_t> column;
  column.reserve(std::size(rows));
  for (const auto& row : rows) column.push_back(static_cast<std::int64_t>(get(row)));
  return postgres::Array(column);
}

}  // namespace flotilla::payment
