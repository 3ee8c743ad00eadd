#include "fleet/disk.h"

#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <stdexcept>

#include "absl/strings/str_cat.h"

namespace flotilla::fleet {

Disk::Disk(int megabytes)
    : path_(std::filesystem::temp_directory_path() / absl::StrCat("disk-", getpid())),
      size_(static_cast<unsigned long>(megabytes) << 20) {
  std::filesystem::create_directories(path_);
  mounted_ = mount("tmpfs", path_.c_str(), "tmpfs", 0, absl::StrCat("size=", size_, ",mode=755").c_str()) == 0;
}

Disk::~Disk() {
  if (mounted_) umount2(path_.c_str(), MNT_DETACH);
  std::filesystem::remove_all(path_);
}

// The disk shrinks to what is on it: takes no time and no memory. A file that grows meanwhile makes it fail once.
void Disk::Fill() const {
  for (int attempt = 0; attempt < 100; ++attempt) {
    struct statvfs now{};
    if (statvfs(path_.c_str(), &now) != 0) break;
    if (Resize((now.f_blocks - now.f_bfree + 1) * now.f_frsize)) return;
  }
  throw std::runtime_error("cannot fill " + path_.string());
}

void Disk::Empty() const {
  if (!Resize(size_)) throw std::runtime_error("cannot empty " + path_.string());
}

bool Disk::Resize(unsigned long bytes) const {
  return mount("tmpfs", path_.c_str(), "tmpfs", MS_REMOUNT, absl::StrCat("size=", bytes).c_str()) == 0;
}

}  // namespace flotilla::fleet
