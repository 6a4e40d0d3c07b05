#include "tests/models/flash/scratch_folder.hpp"

#include <doctest/doctest.h>

#include "models/flash/storage/storage_file.hpp"
#include "sim/base/error.hpp"

namespace kvr::test {

ScratchFolder::ScratchFolder() : folder_(std::filesystem::read_symlink("/proc/self/exe").parent_path()) {}

std::size_t ScratchFolder::files() const {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(path())) {
    ++count;
  }
  return count;
}

bool ScratchFolder::has_direct_io() const {
  try {
    const std::filesystem::path probe = path() / "direct";
    flash::StorageFile file({.path = probe, .bytes = std::int64_t{1} << 20});
    const auto io = flash::make_thread_engine({file.descriptor(), probe.string(), 1, 1 << 16});
    file.prepare(*io, {});
    return true;
  } catch (const InputError& error) {
    CHECK(std::string(error.what()).find("O_DIRECT") != std::string::npos);
    MESSAGE("left out, because direct I/O is not to be had here: " << error.what());
    return false;
  }
}

}  // namespace kvr::test
