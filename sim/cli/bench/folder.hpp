#pragma once

#include <filesystem>
#include <list>
#include <optional>
#include <string>

#include "sim/base/new_file.hpp"

namespace kvr::bench {

/// A folder of its own, removed with all it holds; where a signal ends the program, with the files that
/// `file` has named.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  /// Where a file of this name is to be written.
  std::filesystem::path file(const std::string& name);

 private:
  std::filesystem::path path_;
  std::optional<Transient> itself_;
  std::list<Transient> files_;
};

}  // namespace kvr::bench
