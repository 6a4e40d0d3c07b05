#pragma once

#include <filesystem>

namespace kvr::test {

/// A folder of its own beside this test program, and so on a disk; removed with everything in it.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::size_t files() const;
  /// False, with a message, where the folder's file system has no direct I/O: then what needs it is left out.
  bool has_direct_io() const;

 private:
  std::filesystem::path path_;
};

}  // namespace kvr::test
