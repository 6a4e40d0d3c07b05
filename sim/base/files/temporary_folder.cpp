#include "sim/base/files/temporary_folder.hpp"

#include <stdlib.h>

#include <cerrno>
#include <cstring>

#include "sim/base/error.hpp"

namespace kvr {

TemporaryFolder::TemporaryFolder() : TemporaryFolder(std::filesystem::temp_directory_path()) {}

TemporaryFolder::TemporaryFolder(const std::filesystem::path& parent) {
  std::string name = (parent / "kvreplay-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) {
    throw SystemError(fmt::format("{}: cannot be made: {}", name, std::strerror(errno)));
  }
  path_ = name;
  itself_.emplace(path_);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path TemporaryFolder::file(const std::string& name) {
  const std::filesystem::path path = path_ / name;
  files_.emplace_back(path);
  return path;
}

}  // namespace kvr
