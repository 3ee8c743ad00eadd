#include "identity/key_file.h"

#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "telemetry/log.h"
#include "telemetry/metrics.h"

namespace flotilla::identity {
namespace {

constexpr std::size_t kMaxBytes = 256 << 10;

absl::StatusOr<std::string> Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.empty()) return absl::InvalidArgumentError(absl::StrCat(path, " cannot be read or is empty"));
  if (text.size() > kMaxBytes) return absl::InvalidArgumentError(absl::StrCat(path, " is larger than 256 KiB"));
  return text;
}

absl::StatusOr<std::shared_ptr<const KeySet>> Parse(const std::string& path, const std::string& text) {
  auto keys = KeySet::Parse(text);
  if (!keys.ok()) return absl::InvalidArgumentError(absl::StrCat(path, ": ", keys.status().message()));
  return keys;
}

prometheus::Counter& Reads(const char* result) {
  return telemetry::Counter("flotilla_key_set_reads_total", "Changed key sets read", {{"result", result}});
}

}  // namespace

absl::StatusOr<std::unique_ptr<KeyFile>> KeyFile::Open(std::string path, absl::Duration look_every) {
  absl::StatusOr<std::string> text = Read(path);
  if (!text.ok()) return text.status();
  absl::StatusOr<std::shared_ptr<const KeySet>> keys = Parse(path, *text);
  if (!keys.ok()) return keys.status();
  return std::unique_ptr<KeyFile>(new KeyFile(std::move(path), *std::move(text), *std::move(keys), look_every));
}

KeyFile::KeyFile(std::string path, std::string text, std::shared_ptr<const KeySet> keys, absl::Duration look_every)
    : path_(std::move(path)),
      text_(std::move(text)),
      keys_(std::move(keys)),
      watcher_([this, look_every] { Watch(look_every); }) {
  Reads("refused");  // there from the start, so that the first one shows
}

KeyFile::~KeyFile() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  watcher_.join();
}

std::shared_ptr<const KeySet> KeyFile::keys() const {
  const std::lock_guard lock(mutex_);
  return keys_;
}

void KeyFile::Watch(absl::Duration look_every) {
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, absl::ToChronoMilliseconds(look_every), [this] { return stopping_; })) {
    lock.unlock();
    Reload();
    lock.lock();
  }
}

// The text itself is compared: mounted secrets are links to folders that are swapped, and keep odd times.
void KeyFile::Reload() {
  const absl::StatusOr<std::string> text = Read(path_);
  const std::string seen = text.value_or("");
  if (seen == text_) return;
  text_ = seen;
  absl::StatusOr<std::shared_ptr<const KeySet>> keys = text.ok() ? Parse(path_, seen) : text.status();
  Reads(keys.ok() ? "ok" : "refused").Increment();
  if (!keys.ok()) {
    return telemetry::Error("the changed key set is refused; the old keys stay",
                            {{"error", std::string(keys.status().message())}});
  }
  telemetry::Info("new key set", {{"keys", absl::StrCat((*keys)->size())}});
  const std::lock_guard lock(mutex_);
  keys_ = *std::move(keys);
}

}  // namespace flotilla::identity
