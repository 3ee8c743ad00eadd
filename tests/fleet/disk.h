// A small disk of memory that can be full.
#pragma once

#include <filesystem>

namespace flotilla::fleet {

class Disk {
 public:
  // In a temporary folder; needs the right to mount.
  explicit Disk(int megabytes);
  ~Disk();
  Disk(const Disk&) = delete;

  bool mounted() const { return mounted_; }
  const std::filesystem::path& path() const { return path_; }
  // As if other files had taken all that is left.
  void Fill() const;
  void Empty() const;

 private:
  bool Resize(unsigned long bytes) const;

  const std::filesystem::path path_;
  const unsigned long size_;  // bytes
  bool mounted_ = false;
};

}  // namespace flotilla::fleet
