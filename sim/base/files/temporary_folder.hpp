#pragma once

#include <filesystem>
#include <list>
#include <optional>
#include <string>

#include "sim/base/files/new_file.hpp"

namespace kvr {

/// A folder of its own, removed with all it holds; where a signal ends the program, with the files that
/// `file` has named.
class TemporaryFolder {
 public:
  /// Where the system keeps what is temporary, or in `parent`. Throws SystemError where none can be made.
  TemporaryFolder();
  explicit TemporaryFolder(const std::filesystem::path& parent);
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  /// Where a file of this name is to be written.
  std::filesystem::path file(const std::string& name);

 private:
  std::filesystem::path path_;
  std::optional<Transient> itself_;
  std::list<Transient> files_;
};

}  // namespace kvr
