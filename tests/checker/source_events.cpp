#include "checker/source_events.h"

#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "checker/sql.h"

namespace flotilla::checker {
namespace {

struct Delivery {
  bool must_be_told = false;
  std::int32_t handled = 0;
  std::int32_t notified = 0;
};

}  // namespace

void CheckSourceEvents(Snapshot& notify, Snapshot& source, const std::string& name, bool quiescent, Report& report) {
  const std::string prefix = name + ":";
  absl::flat_hash_map<std::string, Delivery> events;
  source.Stream(sql::kSourceEvents,
                [&](const pqxx::row& row) { events[prefix + row[0].c_str()].must_be_told = row[1].as<bool>(); });
  const auto count = [&](const char* query, std::int32_t Delivery::* counter, const char* what) {
    notify.Stream(absl::StrCat(query, "'", prefix, "%'"), [&](const pqxx::row& row) {
      const auto event = events.find(row[0].c_str());
      if (event == events.end()) {
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
