#include "tests/models/flash/scratch_folder.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

#include "models/flash/storage/storage_file.hpp"
#include "sim/base/error.hpp"

namespace kvr::test {

ScratchFolder::ScratchFolder() {
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe");
  std::string name = (program.parent_path() / "scratch-XXXXXX").string();
  REQUIRE(mkdtemp(name.data()) != nullptr);
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::size_t ScratchFolder::files() const {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(path_)) {
    ++count;
  }
  return count;
}

bool ScratchFolder::has_direct_io() const {
  try {
    const std::filesystem::path probe = path_ / "direct";
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
