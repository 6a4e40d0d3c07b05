#pragma once

#include <filesystem>

namespace kvr {

/// A file that appears whole or not at all: it is written under a temporary name in the same folder, and
/// `commit` puts it on the disk and renames it. Without `commit` the temporary is removed; only a process
/// that is killed leaves one.
class NewFile {
 public:
  explicit NewFile(std::filesystem::path path);
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  const std::filesystem::path& temporary() const { return temporary_; }
  /// Throws SystemError if the disk or the rename fails.
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
};

}  // namespace kvr
