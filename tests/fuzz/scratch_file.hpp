#pragma once

#include <filesystem>
#include <string_view>

namespace kvr::fuzz {

/// A file alone in a folder, for what reads files: nothing is there to be included. Gone with the object.
class ScratchFile {
 public:
  explicit ScratchFile(std::string_view text);
  ~ScratchFile();
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  std::filesystem::path path() const { return folder_ / "input.yaml"; }

 private:
  std::filesystem::path folder_;
};

}  // namespace kvr::fuzz
