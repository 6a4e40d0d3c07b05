#include "tests/fuzz/scratch_file.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>

#include "sim/base/error.hpp"

namespace kvr::fuzz {

ScratchFile::ScratchFile(std::string_view text)
    : folder_(std::filesystem::temp_directory_path() / fmt::format("kvr_fuzz_{}", getpid())) {
  std::filesystem::create_directories(folder_);
  std::ofstream stream(path(), std::ios::binary);
  stream << text;
  stream.close();
  KVR_CHECK(stream.good(), "{} bytes cannot be written to {}", text.size(), path().string());
}

ScratchFile::~ScratchFile() {
  std::filesystem::remove_all(folder_);
}

}  // namespace kvr::fuzz
