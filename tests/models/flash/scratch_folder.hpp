#pragma once

#include <filesystem>

#include "sim/base/files/temporary_folder.hpp"

namespace kvr::test {

/// A folder of its own beside this test program, and so on a disk; removed with everything in it.
class ScratchFolder {
 public:
  ScratchFolder();

  const std::filesystem::path& path() const { return folder_.path(); }
  std::size_t files() const;
  /// False, with a message, where the folder's file system has no direct I/O: then what needs it is left out.
  bool has_direct_io() const;

 private:
  TemporaryFolder folder_;
};

}  // namespace kvr::test
