// How the file is made, and what shows that its storage is measured and not a cache:
//
//   create it where nothing is, open it again with O_DIRECT, take its name away, reserve its space
//   write every page with the pattern; fsync; ask for its pages to leave the page cache
//   read pages spread over it: the pattern must come back, and the page cache must not hold them afterwards
//
// A file system that accepts O_DIRECT and buffers all the same shows in the last step, because the pages are
// then in the page cache (mincore). What a server of a FUSE file system or a virtual machine's host caches
// cannot be seen from here; the latency of these reads goes into the remarks for that reason.
#include "models/flash/storage/storage_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"

namespace kvr::flash {

namespace {

constexpr std::int64_t kPageBytes = 4096;
constexpr std::int64_t kSampledPages = 256;

/// Output `index` of SplitMix64 (Steele, Lea and Flood 2014) from state 0.
std::uint64_t pattern_word(std::uint64_t index) {
  std::uint64_t z = (index + 1) * 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31U);
}

bool page_is_cached(int descriptor, std::int64_t offset_bytes) {
  void* memory = mmap(nullptr, kPageBytes, PROT_READ, MAP_SHARED, descriptor, offset_bytes);
  if (memory == MAP_FAILED) {
    return false;
  }
  unsigned char resident = 0;
  const bool told = mincore(memory, kPageBytes, &resident) == 0;
  munmap(memory, kPageBytes);
  return told && (resident & 1U) != 0;
}

}  // namespace

void fill_pattern(std::span<std::byte> data, std::int64_t offset_bytes) {
  auto index = static_cast<std::uint64_t>(offset_bytes) / sizeof(std::uint64_t);
  for (std::size_t at = 0; at < data.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t word = pattern_word(index++);
    std::memcpy(data.data() + at, &word, std::min(sizeof(word), data.size() - at));
  }
}

bool is_pattern(std::span<const std::byte> data, std::int64_t offset_bytes) {
  std::vector<std::byte> expected(data.size());
  fill_pattern(expected, offset_bytes);
  return std::ranges::equal(data, expected);
}

Descriptor::~Descriptor() {
  if (number_ >= 0) {
    close(number_);
  }
}

Descriptor::Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(number_, other.number_);
  return *this;
}

StorageFile::StorageFile(Options options) : options_(std::move(options)) {
  KVR_CHECK(options_.bytes > 0 && options_.bytes % kPageBytes == 0, "a file of {} B", options_.bytes);
  if (auto problems = check_storage_path(options_.path, options_.overwrite); !problems.empty()) {
    throw InputError(std::move(problems));
  }
  try {
    std::error_code ignored;
    if (std::filesystem::exists(options_.path, ignored)) {
      open_existing();
    } else {
      create();
    }
    reserve();
  } catch (...) {
    remove_name();
    throw;
  }
}

StorageFile::~StorageFile() {
  remove_name();
}

void StorageFile::remove_name() {
  if (std::exchange(named_, false)) {
    unlink(options_.path.c_str());
  }
}

void StorageFile::fail(std::string_view what, int reason) const {
  throw SystemError(fmt::format("{}: {}: {}", options_.path.string(), what, std::strerror(reason)));
}

void StorageFile::create() {
  plain_ = Descriptor(open(options_.path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (plain_.number() < 0) {
    fail("cannot be created", errno);
  }
  named_ = true;
  open_direct();
  if (!options_.keep) {
    remove_name();
  }
}

void StorageFile::open_existing() {
  std::error_code ignored;
  const bool block_device = std::filesystem::is_block_file(options_.path, ignored);
  // On a block device O_EXCL without O_CREAT refuses one that is mounted.
  plain_ = Descriptor(open(options_.path.c_str(), O_RDWR | O_CLOEXEC | (block_device ? O_EXCL : 0)));
  if (plain_.number() < 0) {
    fail(block_device && errno == EBUSY ? "is in use, e.g. mounted" : "cannot be opened", errno);
  }
  open_direct();
}

void StorageFile::open_direct() {
  // A second time, because a refused O_DIRECT would leave a file created and no descriptor.
  const std::string same = fmt::format("/proc/self/fd/{}", plain_.number());
  direct_ = Descriptor(open(same.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
  if (direct_.number() < 0 && errno == EINVAL) {
    throw InputError(
        fmt::format("{}: its file system refuses O_DIRECT, so that the storage below cannot be measured; "
                    "give a path on a file system of the device itself, e.g. ext4 or f2fs",
                    options_.path.string()));
  }
  if (direct_.number() < 0) {
    fail("cannot be opened for direct I/O", errno);
  }
}

void StorageFile::reserve() {
  struct stat status {};
  if (fstat(descriptor(), &status) != 0) {
    fail("cannot be examined", errno);
  }
  if (S_ISBLK(status.st_mode)) {
    std::uint64_t capacity = 0;
    if (ioctl(descriptor(), BLKGETSIZE64, &capacity) != 0) {
      fail("its size cannot be asked", errno);
    }
    if (static_cast<std::int64_t>(capacity) < options_.bytes) {
      throw InputError(
          fmt::format("{}: has {} B; {} B are asked for", options_.path.string(), capacity, options_.bytes));
    }
    return;
  }
  // ext4 takes all the room there is before it says that it is not enough, and a file that was there before
  // would keep it.
  struct statvfs system {};
  const std::int64_t missing = options_.bytes - std::int64_t{status.st_blocks} * 512;
  if (fstatvfs(descriptor(), &system) == 0 && system.f_blocks > 0 &&
      static_cast<double>(system.f_bavail) * static_cast<double>(system.f_frsize) <
          static_cast<double>(missing)) {
    fail(fmt::format("{} B cannot be reserved", options_.bytes), ENOSPC);
  }
  const int status_code = fallocate(descriptor(), 0, 0, options_.bytes);
  if (status_code != 0 && errno != EOPNOTSUPP) {  // without it, writing takes the space
    fail(fmt::format("{} B cannot be reserved", options_.bytes), errno);
  }
}

std::vector<std::string> StorageFile::prepare(DirectIo& io, const Progress& progress) {
  const bool keep = options_.keep;
  write_all(io, progress);
  const double cached_after_writing = flush();
  std::vector<std::string> remarks{check(io, cached_after_writing)};
  if (cached_after_writing > 0.5) {
    remarks.emplace_back(
        "direct writes leave their pages in the page cache here: times of writes are partly "
        "those of memory");
  }
  named_ = named_ && !keep;
  return remarks;
}

void StorageFile::write_all(DirectIo& io, const Progress& progress) const {
  std::vector<DirectDone> done;
  std::int64_t finished = 0;
  for (std::int64_t at = 0; at < options_.bytes || io.outstanding() > 0;) {
    while (at < options_.bytes && !io.full()) {
      const std::int64_t length = std::min(io.slot_bytes(), options_.bytes - at);
      fill_pattern(io.next_buffer().first(static_cast<std::size_t>(length)), at);
      io.start({static_cast<std::uint64_t>(length), IoKind::write, at, length});
      at += length;
    }
    done.clear();
    io.wait(done);
    for (const DirectDone& one : done) {
      finished += static_cast<std::int64_t>(one.id);
    }
    if (progress) {
      progress(finished, options_.bytes);
    }
  }
}

/// Returns the share of pages that the page cache held once all was on the storage.
double StorageFile::flush() {
  if (fsync(descriptor()) != 0) {
    fail("cannot be written", errno);
  }
  const double cached = cached_share();
  if (const int reason = posix_fadvise(descriptor(), 0, 0, POSIX_FADV_DONTNEED); reason != 0) {
    fail("its pages cannot be dropped", reason);
  }
  return cached;
}

std::vector<std::int64_t> StorageFile::sampled_pages() const {
  Rng rng = Rng::stream(0, "storage_file");
  const std::int64_t pages = options_.bytes / kPageBytes;
  std::vector<std::int64_t> offsets;
  for (std::int64_t i = 0; i < std::min(kSampledPages, pages); ++i) {
    offsets.push_back(static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(pages))) * kPageBytes);
  }
  return offsets;
}

double StorageFile::cached_share() const {
  const std::vector<std::int64_t> offsets = sampled_pages();
  const auto cached = std::ranges::count_if(
      offsets, [this](std::int64_t offset) { return page_is_cached(descriptor(), offset); });
  return static_cast<double>(cached) / static_cast<double>(offsets.size());
}

std::string StorageFile::check(DirectIo& io, double cached_after_writing) {
  std::vector<double> latencies_s;
  std::vector<DirectDone> done;
  for (const std::int64_t offset : sampled_pages()) {
    done.clear();
    io.start({0, IoKind::read, offset, kPageBytes});
    io.wait(done);
    latencies_s.push_back(done.front().done_s - done.front().start_s);
    if (!is_pattern(done.front().data, offset)) {
      throw SystemError(
          fmt::format("{}: other bytes came back at {} than were written", options_.path.string(), offset));
    }
  }
  const double cached = cached_share();
  if (cached > 0.5) {
    throw InputError(
        fmt::format("{}: {:.0f} % of the pages that were read directly are in the page cache: its file "
                    "system accepts O_DIRECT but buffers, so that reads would be those of memory; give a "
                    "path on a file system of the device itself, e.g. ext4 or f2fs",
                    options_.path.string(), 100.0 * cached));
  }
  std::ranges::sort(latencies_s);
  return fmt::format(
      "O_DIRECT checked on {} pages read one by one: the written bytes came back, {:.0f} % of the pages "
      "were in the page cache afterwards ({:.0f} % after writing), median {:.1f} us; a cache below the file "
      "system, of a FUSE server or a virtual machine's host, would not show",
      latencies_s.size(), 100.0 * cached, 100.0 * cached_after_writing,
      1e6 * latencies_s[latencies_s.size() / 2]);
}

std::vector<std::string> check_storage_path(const std::filesystem::path& path, bool overwrite) {
  std::vector<std::string> problems;
  std::error_code ignored;
  const std::filesystem::file_status status = std::filesystem::status(path, ignored);
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  if (path.empty()) {
    problems.emplace_back("no path is given; give one of a file that does not exist");
  } else if (std::filesystem::is_directory(status)) {
    problems.push_back(fmt::format("{}: is a folder; give a file in it", path.string()));
  } else if (!std::filesystem::exists(status) && !std::filesystem::is_directory(folder, ignored)) {
    problems.push_back(fmt::format("{}: the folder {} does not exist", path.string(), folder.string()));
  } else if (std::filesystem::exists(status) && !overwrite) {
    problems.push_back(fmt::format(
        "{}: exists, and its content would be lost; give another path or overwrite", path.string()));
  } else if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status) &&
             !std::filesystem::is_block_file(status)) {
    problems.push_back(fmt::format("{}: is neither a file nor a block device", path.string()));
  }
  return problems;
}

}  // namespace kvr::flash
