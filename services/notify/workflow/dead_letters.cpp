#include "notify/workflow/dead_letters.h"

#include "absl/strings/str_cat.h"
#include "errors/errors.h"
#include "notify/workflow/decode.h"

namespace flotilla::notify {
namespace {

absl::Status Unknown() {
  return errors::Make(absl::StatusCode::kNotFound, "UNKNOWN_DEAD_LETTER", "event_id: there is no such dead letter",
                      {{"field", "event_id"}});
}

}  // namespace

absl::Status Redeliver(DeadLetterStore& store, const std::string& event_id) {
  const absl::StatusOr<std::optional<DeadLetter>> letter = store.Find(event_id);
  if (!letter.ok()) return letter.status();
  if (!letter->has_value()) return Unknown();
  const events::Event event = EventOf(**letter);
  const Batch batch = Decode((*letter)->source, {&event, 1});
  if (!batch.dead_letters.empty()) {
    return errors::Make(absl::StatusCode::kFailedPrecondition, "STILL_UNREADABLE",
                        absl::StrCat("the event would be a dead letter again: ", batch.dead_letters.front().reason));
  }
  const absl::StatusOr<bool> redelivered = store.Redeliver(event_id, batch);
  if (!redelivered.ok()) return redelivered.status();
  return *redelivered ? absl::OkStatus() : Unknown();
}

absl::Status Discard(DeadLetterStore& store, const std::string& event_id) {
  const absl::StatusOr<bool> discarded = store.Discard(event_id);
  if (!discarded.ok()) return discarded.status();
  return *discarded ? absl::OkStatus() : Unknown();
}

}  // namespace flotilla::notify
