// FOLDER/ab/cdef...: the record of the point whose key is abcdef..., so that no folder grows long.
// FOLDER/lock: is held by who has the store open; the system lets go of it with the process.
#include "sim/sweep/store.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "sim/base/error.hpp"
#include "sim/sweep/point_record.hpp"

namespace kvr::sweep {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLock = "lock";
constexpr std::size_t kPrefix = 2;
constexpr std::size_t kKeyDigits = 64;

bool is_hexadecimal(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

[[noreturn]] void fail(const fs::path& path, std::string_view what, int reason) {
  throw SystemError(fmt::format("{}: cannot be {}: {}", path.string(), what, std::strerror(reason)));
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directory(folder, error);
  if (error) {
    fail(folder, "made", error.value());
  }
}

/// Where there is one.
bool is_folder(const fs::path& path) {
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  if (fs::exists(status) && !fs::is_directory(status)) {
    throw InputError(fmt::format("{}: is no folder, and finished points would be kept there", path.string()));
  }
  return fs::is_directory(status);
}

/// Whether `path` still is what `descriptor` has open: who held the lock may have ended and removed it.
bool is_same_file(int descriptor, const fs::path& path) {
  struct stat open_file {};
  struct stat named {};
  return fstat(descriptor, &open_file) == 0 && stat(path.c_str(), &named) == 0 &&
         open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

int take_lock(const fs::path& path) {
  const int lock = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock < 0) {
    fail(path, "opened", errno);
  }
  if (flock(lock, LOCK_EX | LOCK_NB) != 0 || !is_same_file(lock, path)) {
    const int reason = errno;
    close(lock);
    if (reason == EWOULDBLOCK || reason == ENOENT) {
      throw SystemError(fmt::format("{}: another run keeps its points there; it must end first",
                                    path.parent_path().string()));
    }
    fail(path, "locked", reason);
  }
  return lock;
}

/// Folders "ab" that are no links to others.
bool is_room(const fs::path& path) {
  std::error_code ignored;
  const std::string name = path.filename().string();
  return name.size() == kPrefix && is_hexadecimal(name) &&
         fs::is_directory(fs::symlink_status(path, ignored));
}

/// What is left of a record whose writer was killed.
bool is_half_a_record(const fs::path& path) {
  const std::string name = path.filename().string();
  const std::size_t digits = kKeyDigits - kPrefix;
  return name.size() > digits && is_hexadecimal(std::string_view(name).substr(0, digits)) &&
         std::string_view(name).substr(digits).starts_with(".partial-");
}

/// `act(path)` for what is in `folder`; what cannot be listed is not there.
template <class Act>
void for_each_in(const fs::path& folder, Act act) {
  std::error_code ignored;
  std::vector<fs::path> paths;
  for (fs::directory_iterator entry(folder, ignored), end; !ignored && entry != end;
       entry.increment(ignored)) {
    paths.push_back(entry->path());
  }
  std::ranges::for_each(paths, act);
}

}  // namespace

Store::Store(fs::path folder) : folder_(std::move(folder)) {
  if (!is_folder(folder_)) {
    make_folder(folder_);
  }
  lock_ = take_lock(folder_ / kLock);
  remove_litter();
}

Store::~Store() {
  std::error_code ignored;
  for_each_in(folder_, [&](const fs::path& path) {
    if (is_room(path)) {
      fs::remove(path, ignored);  // where it is empty
    }
  });
  if (keys().empty()) {
    fs::remove(folder_ / kLock, ignored);
    fs::remove(folder_, ignored);
  }
  close(lock_);
}

/// What killed processes left half-written: nobody else has the store open.
void Store::remove_litter() const {
  for_each_in(folder_, [](const fs::path& room) {
    if (!is_room(room)) {
      return;
    }
    for_each_in(room, [](const fs::path& path) {
      std::error_code ignored;
      if (is_half_a_record(path)) {
        fs::remove(path, ignored);
      }
    });
  });
}

fs::path Store::path_of(std::string_view key) const {
  KVR_CHECK(key.size() == kKeyDigits && is_hexadecimal(key), "'{}' is no key", key);
  return folder_ / key.substr(0, kPrefix) / key.substr(kPrefix);
}

std::set<std::string> Store::keys() const {
  std::set<std::string> keys;
  for_each_in(folder_, [&keys](const fs::path& room) {
    if (!is_room(room)) {
      return;
    }
    for_each_in(room, [&](const fs::path& path) {
      const std::string key = room.filename().string() + path.filename().string();
      if (key.size() == kKeyDigits && is_hexadecimal(key)) {
        keys.insert(key);
      }
    });
  });
  return keys;
}

std::optional<PointOutline> Store::find(const std::string& key,
                                        const std::function<void(const std::string&)>& tell) const {
  std::error_code ignored;
  if (!fs::exists(fs::symlink_status(path_of(key), ignored))) {
    return std::nullopt;
  }
  try {
    return read_outline(path_of(key), key);
  } catch (const InputError& damage) {
    tell(damage.what());
    remove(key);
    return std::nullopt;
  }
}

void Store::put(const std::string& key, const PointOutline& outline, const PointData& data) const {
  const fs::path path = path_of(key);
  if (!is_folder(path.parent_path())) {
    std::error_code ignored;
    fs::create_directory(path.parent_path(), ignored);  // another worker may; writing says where nobody could
  }
  write_record(path, key, outline, data);
}

std::shared_ptr<const PointData> Store::values(const std::string& key) const {
  try {
    return read_values(path_of(key), key);
  } catch (const InputError& damage) {
    throw SystemError(damage.what());
  }
}

void Store::remove(const std::string& key) const {
  std::error_code ignored;
  fs::remove(path_of(key), ignored);
}

}  // namespace kvr::sweep
