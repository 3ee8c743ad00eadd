#include "checker/source_events.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "checker/sql.h"

namespace flotilla::checker {
namespace {

struct Delivery {
  bool must_be_told = false;
  std::int32_t handled = 0;
  std::int32_t notified = 0;
};

// Where a log has dropped its oldest parts: from where on it has each stream.
class Beginnings {
 public:
  explicit Beginnings(Snapshot& source) : cut_(source.Query(sql::kLogIsCut)[0][0].as<std::int64_t>() > 0) {}

  void Add(absl::string_view event_id) {
    if (!cut_) return;
    const auto [stream, sequence] = Split(event_id);
    const auto [it, is_first] = first_.try_emplace(stream, sequence);
    if (!is_first) it->second = std::min(it->second, sequence);
  }
  // Whether an event that is not there may have been dropped: nothing of its stream before it is kept.
  bool Dropped(absl::string_view event_id) const {
    if (!cut_) return false;
    const auto [stream, sequence] = Split(event_id);
    const auto it = first_.find(stream);
    return sequence >= 1 && (it == first_.end() || sequence < it->second);
  }

 private:
  static std::pair<std::string, std::int64_t> Split(absl::string_view event_id) {
    const std::size_t slash = event_id.rfind('/');
    std::int64_t sequence = 0;
    if (slash == event_id.npos || !absl::SimpleAtoi(event_id.substr(slash + 1), &sequence)) return {"", 0};
    return {std::string(event_id.substr(0, slash)), sequence};
  }
  const bool cut_;
  absl::flat_hash_map<std::string, std::int64_t> first_;
};

}  // namespace

void CheckSourceEvents(Snapshot& notify, Snapshot& source, const std::string& name, bool quiescent, Report& report) {
  const std::string prefix = name + ":";
  absl::flat_hash_map<std::string, Delivery> events;
  Beginnings beginnings(source);
  source.Stream(sql::kSourceEvents, [&](const pqxx::row& row) {
    events[prefix + row[0].c_str()].must_be_told = row[1].as<bool>();
    beginnings.Add(row[0].c_str());
  });
  const auto count = [&](const char* query, std::int32_t Delivery::* counter, const char* what) {
    notify.Stream(absl::StrCat(query, "'", prefix, "%'"), [&](const pqxx::row& row) {
      const auto event = events.find(row[0].c_str());
      if (event == events.end()) {
        if (beginnings.Dropped(absl::string_view(row[0].c_str()).substr(prefix.size()))) return;
        report.Violate(Promise::kEvents, absl::StrCat("event ", row[0].c_str(), ": ", what, " but does not exist"));
      } else {
        ++(event->second.*counter);
      }
    });
  };
  count(sql::kHandledSourceEvents, &Delivery::handled, "handled");
  count(sql::kSourceNotifications, &Delivery::notified, "notified");
  for (const auto& [id, delivery] : events) {
    if (delivery.handled > 1 || (quiescent && delivery.must_be_told && delivery.handled == 0)) {
      report.Violate(Promise::kEvents, absl::StrCat("event ", id, ": handled ", delivery.handled, " times"));
    } else if (delivery.notified != delivery.handled) {
      report.Violate(Promise::kEvents, absl::StrCat("event ", id, ": handled ", delivery.handled, " times, notified ",
                                                    delivery.notified, " times"));
    }
  }
  report.Judged(Promise::kEvents, static_cast<std::int64_t>(events.size()), "of " + name);
}

}  // namespace flotilla::checker
