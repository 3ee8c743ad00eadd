// The file that holds the key set. Keys are rotated by replacing it.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "identity/key_set.h"

namespace flotilla::identity {

class KeyFile {
 public:
  // INVALID_ARGUMENT saying what is wrong with the file.
  static absl::StatusOr<std::unique_ptr<KeyFile>> Open(std::string path, absl::Duration look_every = absl::Seconds(1));
  ~KeyFile();

  // The newest keys. A file that has become unreadable or malformed is logged and the last good keys stay.
  std::shared_ptr<const KeySet> keys() const;

 private:
  KeyFile(std::string path, std::string text, std::shared_ptr<const KeySet> keys, absl::Duration look_every);
  void Watch(absl::Duration look_every);
  void Reload();

  const std::string path_;
  std::string text_;  // the watching thread's: what was read last
  mutable std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  std::shared_ptr<const KeySet> keys_;
  std::thread watcher_;
};

}  // namespace flotilla::identity
