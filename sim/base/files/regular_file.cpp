#include "sim/base/files/regular_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "sim/base/error.hpp"

namespace kvr {
namespace {

/// What says of the path, not of the system, that no file can be opened there.
bool leads_to_no_file(int reason) {
  constexpr std::array kOfPath{ENOENT, ENOTDIR, ELOOP, ENXIO};  // ENXIO: a socket
  return std::ranges::find(kOfPath, reason) != kOfPath.end();
}

class OpenFile {
 public:
  /// Not blocking, else to open a pipe waits for its other end.
  explicit OpenFile(const std::filesystem::path& path)
      : path_(path), number_(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) {
    struct stat status {};
    if (number_ < 0 && leads_to_no_file(errno)) {
      refuse();
    }
    if (number_ < 0 || fstat(number_, &status) != 0) {
      const int reason = errno;
      close_it();
      fail(reason);
    }
    if (!S_ISREG(status.st_mode)) {
      close_it();
      refuse();
    }
  }
  ~OpenFile() { close_it(); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  /// 0 at the end.
  std::size_t read_some(std::span<char> into) const {
    ssize_t got = -1;
    do {
      got = read(number_, into.data(), into.size());
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
      fail(errno);
    }
    return static_cast<std::size_t>(got);
  }

 private:
  [[noreturn]] void refuse() const {
    throw InputError(fmt::format("{}: is no regular file", path_.string()));
  }
  [[noreturn]] void fail(int reason) const {
    throw SystemError(fmt::format("{}: cannot be read: {}", path_.string(), std::strerror(reason)));
  }
  void close_it() {
    if (number_ >= 0) {
      close(number_);
      number_ = -1;
    }
  }

  const std::filesystem::path& path_;
  int number_;
};

}  // namespace

std::string read_regular_file(const std::filesystem::path& path) {
  const OpenFile file(path);
  std::string bytes;
  std::array<char, 65536> room;
  for (std::size_t got = file.read_some(room); got > 0; got = file.read_some(room)) {
    bytes.append(room.data(), got);
  }
  return bytes;
}

}  // namespace kvr
