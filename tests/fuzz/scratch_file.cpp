#include "tests/fuzz/scratch_file.hpp"

#include <fmt/format.h>

#include <fstream>

#include "sim/base/error.hpp"

namespace kvr::fuzz {

ScratchFile::ScratchFile(std::string_view text) {
  std::ofstream stream(path(), std::ios::binary);
  stream << text;
  stream.close();
  KVR_CHECK(stream.good(), "{} bytes cannot be written to {}", text.size(), path().string());
}

}  // namespace kvr::fuzz
