// The block device behind a file is found by its st_dev under /sys/dev/block; a partition has its queue's
// settings one folder up. A file system without one block device (FUSE, overlay, btrfs) has none there.
#include "models/flash/storage/storage_host.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace kvr::flash {

namespace {

constexpr const char* kUnknown = "unknown";

std::string first_line(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  const std::size_t end = line.find_last_not_of(" \t");
  return end == std::string::npos ? kUnknown : line.substr(0, end + 1);
}

/// The scheduler in use is the one in brackets: "none [mq-deadline] kyber".
std::string chosen(const std::string& list) {
  const std::size_t begin = list.find('[');
  const std::size_t end = list.find(']');
  return begin == std::string::npos || end < begin ? list : list.substr(begin + 1, end - begin - 1);
}

std::string kernel() {
  utsname system{};
  return uname(&system) == 0 ? fmt::format("{} {} {}", system.sysname, system.release, system.machine)
                             : std::string(kUnknown);
}

std::string cpu() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const bool names = line.starts_with("model name") || line.starts_with("Hardware");
    if (const std::size_t colon = line.find(':'); names && colon + 2 < line.size()) {
      return line.substr(colon + 2);
    }
  }
  return kUnknown;
}

/// A line of mountinfo: id parent major:minor root mount-point options [tags] - type source options.
std::string file_system(dev_t device) {
  const std::string wanted = fmt::format("{}:{}", major(device), minor(device));
  std::ifstream file("/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string id;
    std::string parent;
    std::string number;
    std::string root;
    std::string point;
    words >> id >> parent >> number >> root >> point;
    const std::size_t dash = line.find(" - ");
    if (number == wanted && dash != std::string::npos) {
      const std::string rest = line.substr(dash + 3);
      return fmt::format("{} on {}", rest.substr(0, rest.find(' ')), point);
    }
  }
  return kUnknown;
}

}  // namespace

StorageHost describe_storage_host(int descriptor) {
  StorageHost host;
  host.kernel = kernel();
  host.cpu = cpu();
  struct stat status {};
  const bool known = fstat(descriptor, &status) == 0;
  const bool bare = known && S_ISBLK(status.st_mode);
  const dev_t device = bare ? status.st_rdev : status.st_dev;
  host.file_system = bare ? "none" : known ? file_system(device) : kUnknown;

  std::error_code error;
  const std::filesystem::path link = fmt::format("/sys/dev/block/{}:{}", major(device), minor(device));
  std::filesystem::path folder = std::filesystem::canonical(link, error);
  if (error) {
    return host;
  }
  host.block_device = folder.filename().string();
  if (std::filesystem::exists(folder / "partition", error)) {
    folder = folder.parent_path();
  }
  host.model = first_line(folder / "device" / "model");
  host.scheduler = chosen(first_line(folder / "queue" / "scheduler"));
  host.nr_requests = first_line(folder / "queue" / "nr_requests");
  host.max_sectors_kb = first_line(folder / "queue" / "max_sectors_kb");
  host.rotational = first_line(folder / "queue" / "rotational");
  host.write_cache = first_line(folder / "queue" / "write_cache");
  return host;
}

}  // namespace kvr::flash
