// Requests of notify: bytes -> message -> domain.
#include "flotilla/notify/v1/webhook_service.pb.h"
#include "fuzz/fuzz.h"
#include "notify/api/convert.h"
#include "notify/webhook/url.h"

namespace flotilla::notify {
namespace {

constexpr char kUser[] = "user";

void Run(std::string_view input) {
  const auto parse = [](const auto& request) { return Parse(kUser, request); };
  switch (fuzz::TakeChoice(input, 7)) {
    case 0:
      return fuzz::Handle<v1::ListNotificationsRequest>(input, parse);
    case 1:
      return fuzz::Handle<v1::SubscribeRequest>(input, parse);
    case 2:
      return fuzz::Handle<v1::MarkReadRequest>(input, [](const auto& r) { return Check(kUser, r); });
    case 3:
      return fuzz::Handle<v1::SetPreferencesRequest>(input, parse);
    case 4:
      return fuzz::Handle<v1::ListDeadLettersRequest>(input, [](const auto& r) { return Parse(r); });
    case 5:
      return fuzz::Handle<v1::RedeliverDeadLetterRequest>(input,
                                                          [](const auto& r) { return CheckEventId(r.event_id()); });
    default:
      return fuzz::Handle<v1::RegisterEndpointRequest>(input, [](const auto& r) {
        const absl::Status url = CheckUrl(r.url(), false);
        return url.ok() ? CheckTypes(r.event_types(), "event_types") : url;
      });
  }
}

}  // namespace
}  // namespace flotilla::notify

FLOTILLA_FUZZ(flotilla::notify::Run)
