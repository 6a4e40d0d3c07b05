#include "sim/config/text/source.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>

#include "sim/base/error.hpp"

namespace kvr::config {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kStandardInput = "-";
constexpr std::size_t kPieceBytes = std::size_t{1} << 16;

SystemError unreadable(const fs::path& file, int error) {
  return SystemError(
      fmt::format("{}: cannot be read ({})", file.string(), std::generic_category().message(error)));
}

/// An open file, closed with the object.
class Descriptor {
 public:
  explicit Descriptor(const fs::path& file)
      : number_(file == kStandardInput ? ::dup(STDIN_FILENO) : ::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (number_ < 0) {
      throw unreadable(file, errno);
    }
  }
  ~Descriptor() { ::close(number_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int number() const { return number_; }

 private:
  int number_;
};

}  // namespace

bool is_stream(const fs::path& file) {
  std::error_code unknown;
  const fs::file_type type = fs::status(file, unknown).type();
  // What stands behind /dev/stdin and /dev/fd/N may well be a file, but not one of that folder.
  const std::string text = file.string();
  const bool handed_over = text.starts_with("/dev/") || text.starts_with("/proc/");
  return file == kStandardInput || type == fs::file_type::fifo || type == fs::file_type::socket ||
         type == fs::file_type::character || (handed_over && type == fs::file_type::regular);
}

fs::path folder_of(const fs::path& file) {
  return is_stream(file) ? fs::path() : file.parent_path();
}

fs::path readable_name(const fs::path& file) {
  return file == kStandardInput ? fs::path("/dev/stdin") : file;
}

std::string stem_of(const fs::path& file) {
  return is_stream(file) ? "stdin" : file.stem().string();
}

std::string read_text(const fs::path& file, std::size_t most) {
  const Descriptor descriptor(file);
  std::string text;
  while (text.size() < most) {
    const std::size_t before = text.size();
    text.resize(before + std::min(kPieceBytes, most - before));
    const ssize_t got = ::read(descriptor.number(), text.data() + before, text.size() - before);
    if (got < 0 && errno != EINTR) {
      throw unreadable(file, errno);
    }
    text.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0) {
      return text;
    }
  }
  return text;
}

}  // namespace kvr::config
