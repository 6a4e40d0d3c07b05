#include "sim/base/files/new_file.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <string>
#include <system_error>

#include "sim/base/error.hpp"

namespace kvr {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark = ".partial-";

[[noreturn]] void fail(const fs::path& path, int reason) {
  throw SystemError(fmt::format("{}: cannot be written: {}", path.string(), std::strerror(reason)));
}

/// Waits until what was written to `path` is on the disk.
void flush_to_disk(const fs::path& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool flushed = descriptor >= 0 && fsync(descriptor) == 0;
  const int reason = errno;
  if (descriptor >= 0) {
    close(descriptor);
  }
  if (!flushed) {
    fail(path, reason);
  }
}

/// The names of files being written and of what is transient, where a signal handler can read them: the most
/// that a command has at once, and some.
class Unfinished {
 public:
  void add(const char* path) {
    for (std::atomic<const char*>& slot : slots_) {
      const char* free = nullptr;
      if (slot.compare_exchange_strong(free, path)) {
        return;
      }
    }
  }
  void take_out(const char* path) {
    for (std::atomic<const char*>& slot : slots_) {
      const char* known = path;
      slot.compare_exchange_strong(known, nullptr);
    }
  }
  void remove_all() noexcept {
    for (const auto remove : {&unlink, &rmdir}) {  // folders once they are empty
      for (const std::atomic<const char*>& slot : slots_) {
        if (const char* path = slot.load(); path != nullptr) {
          remove(path);
        }
      }
    }
  }

 private:
  std::array<std::atomic<const char*>, 16> slots_{};
  static_assert(std::atomic<const char*>::is_always_lock_free, "a signal handler reads the slots");
};

/// One for the process, because a signal is one for the process.
Unfinished& unfinished() {
  static constinit Unfinished files;
  return files;
}

/// The process that `name` says it is a temporary of; 0 where it is none of the file `of`.
pid_t writer_of(std::string_view name, std::string_view of) {
  if (!name.starts_with(of) || !name.substr(of.size()).starts_with(kMark)) {
    return 0;
  }
  name.remove_prefix(of.size() + kMark.size());
  pid_t process = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), process);
  return error == std::errc{} && end == name.data() + name.size() && process > 0 ? process : 0;
}

/// Removes what killed processes left of `path`. What cannot be removed harms nobody, so nobody is told.
void remove_litter(const fs::path& folder, const fs::path& path) {
  std::error_code ignored;
  for (fs::directory_iterator entry(folder, ignored), end; !ignored && entry != end;
       entry.increment(ignored)) {
    const pid_t writer = writer_of(entry->path().filename().native(), path.filename().native());
    if (writer != 0 && kill(writer, 0) != 0 && errno == ESRCH) {
      fs::remove(entry->path(), ignored);
    }
  }
}

}  // namespace

fs::path output_target(const fs::path& path) {
  constexpr int kMostLinks = 40;  // as Linux's own limit
  fs::path target = path;
  std::error_code ignored;
  for (int links = 0; fs::is_symlink(fs::symlink_status(target, ignored)); ++links) {
    if (links == kMostLinks) {
      throw InputError(fmt::format("{}: its symbolic links lead in a circle", path.string()));
    }
    std::error_code error;
    const fs::path next = fs::read_symlink(target, error);
    if (error) {
      throw SystemError(fmt::format("{}: cannot be read: {}", target.string(), error.message()));
    }
    target = target.parent_path() / next;
  }
  return target;
}

NewFile::NewFile(const fs::path& path) : path_(output_target(path)), temporary_(path_) {
  temporary_ += fmt::format("{}{}", kMark, getpid());
  const fs::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    throw SystemError(fmt::format("{}: cannot be written: no folder {}", path_.string(), folder.string()));
  }
  remove_litter(folder, path_);
  unfinished().add(temporary_.c_str());
}

NewFile::~NewFile() {
  if (!temporary_.empty()) {
    std::error_code ignored;
    fs::remove(temporary_, ignored);
    unfinished().take_out(temporary_.c_str());
  }
}

void NewFile::commit() {
  flush_to_disk(temporary_);
  std::error_code error;
  fs::rename(temporary_, path_, error);
  if (error) {
    throw SystemError(
        fmt::format("{}: cannot be renamed to {}: {}", temporary_.string(), path_.string(), error.message()));
  }
  unfinished().take_out(temporary_.c_str());
  temporary_.clear();
}

void write_new_file(const fs::path& path, std::string_view text) {
  NewFile file(path);
  errno = 0;
  std::ofstream stream(file.temporary(), std::ios::binary);
  stream << text;
  stream.close();
  if (!stream) {
    fail(path, errno != 0 ? errno : EIO);
  }
  file.commit();
}

Transient::Transient(const fs::path& path) : path_(path) {
  unfinished().add(path_.c_str());
}

Transient::~Transient() {
  unfinished().take_out(path_.c_str());
}

void remove_unfinished_files() noexcept {
  unfinished().remove_all();
}

}  // namespace kvr
