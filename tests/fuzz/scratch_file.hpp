#pragma once

#include <filesystem>
#include <string_view>

#include "sim/base/files/temporary_folder.hpp"

namespace kvr::fuzz {

/// A file alone in a folder, for what reads files: nothing is there to be included. Gone with the object.
class ScratchFile {
 public:
  explicit ScratchFile(std::string_view text);

  std::filesystem::path path() const { return folder_ / "input.yaml"; }

 private:
  TemporaryFolder folder_;
};

}  // namespace kvr::fuzz
