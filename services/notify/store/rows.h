// Within this room: between rows and the domain.
#pragma once

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "notify/domain/notification.h"
#include "postgres/session.h"

namespace flotilla::notify {

// What FromRow reads, of notification n.
#define NOTIFICATION_COLUMNS                                                \
  "n.sequence, n.event_id, n.type, coalesce(n.order_id::text, ''), n.text," \
  " (extract(epoch FROM n.occurred_at) * 1000000)::bigint, n.channels, n.read"

inline Notification FromRow(const std::string& user_id, const postgres::Row& row, int first = 0) {
  Notification n;
  n.user_id = user_id;
  n.sequence = row[first].as<std::int64_t>();
  n.event_id = row[first + 1].c_str();
  n.type = row[first + 2].c_str();
  n.order_id = row[first + 3].c_str();
  n.text = row[first + 4].c_str();
  n.occurred_at = absl::FromUnixMicros(row[first + 5].as<std::int64_t>());
  n.channels = row[first + 6].as<int>();
  n.read = row[first + 7].as<bool>();
  return n;
}

inline Preferences PreferencesFrom(const postgres::Field& language, const postgres::Field& types,
                                   const postgres::Field& channels) {
  Preferences preferences;
  preferences.language = language.c_str();
  if (std::string_view(types.c_str()) == "{}") return preferences;
  const std::vector<std::string> names = postgres::Elements(types), masks = postgres::Elements(channels);
  for (std::size_t i = 0; i < std::min(names.size(), masks.size()); ++i) {
    preferences.muted.push_back({names[i], std::stoi(masks[i])});
  }
  return preferences;
}

// One member of all rows, as an array parameter.
template <class Row>
std::vector<std::string_view> Column(const std::vector<Row>& rows, std::string Row::* member) {
  std::vector<std::string_view> column;
  column.reserve(rows.size());
  for (const Row& row : rows) column.push_back(row.*member);
  return column;
}
template <class Row, class Get>
std::vector<std::int64_t> Numbers(const std::vector<Row>& rows, Get get) {
  std::vector<std::int64_t> column;
  column.reserve(rows.size());
  for (const Row& row : rows) column.push_back(get(row));
  return column;
}

}  // namespace flotilla::notify
