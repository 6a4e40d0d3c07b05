#include "sim/results/new_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "sim/error.hpp"

namespace kvr {
namespace {

/// Waits until what was written to `path` is on the disk.
void flush_to_disk(const std::filesystem::path& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool flushed = descriptor >= 0 && fsync(descriptor) == 0;
  const int reason = errno;
  if (descriptor >= 0) {
    close(descriptor);
  }
  if (!flushed) {
    throw SystemError(fmt::format("{}: cannot be written: {}", path.string(), std::strerror(reason)));
  }
}

}  // namespace

NewFile::NewFile(std::filesystem::path path) : path_(std::move(path)), temporary_(path_) {
  temporary_ += fmt::format(".partial-{}", getpid());
  const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored)) {
    throw SystemError(fmt::format("{}: cannot be written: no folder {}", path_.string(), folder.string()));
  }
}

NewFile::~NewFile() {
  if (!temporary_.empty()) {
    std::error_code ignored;
    std::filesystem::remove(temporary_, ignored);
  }
}

void NewFile::commit() {
  flush_to_disk(temporary_);
  std::error_code error;
  std::filesystem::rename(temporary_, path_, error);
  if (error) {
    throw SystemError(
        fmt::format("{}: cannot be renamed to {}: {}", temporary_.string(), path_.string(), error.message()));
  }
  temporary_.clear();
}

}  // namespace kvr
