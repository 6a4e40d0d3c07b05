#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "models/flash/storage/direct_io.hpp"

namespace kvr::flash {

/// Fills `data`, which stands for bytes from `offset_bytes` (a multiple of 8) of a file on, with what differs
/// everywhere and does not compress: word i of the file is the i-th output of SplitMix64.
void fill_pattern(std::span<std::byte> data, std::int64_t offset_bytes);
bool is_pattern(std::span<const std::byte> data, std::int64_t offset_bytes);

/// A descriptor that is closed when it goes.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  ~Descriptor();
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;

  int number() const { return number_; }

 private:
  int number_;
};

/// A file or block device for direct I/O, all of which has been written with the pattern: extents that were
/// only reserved would return zeros without a touch of the flash.
///
/// A file that it creates has no name any more once it is open, so that nothing stays behind however the
/// program ends; with `keep` it has one from `prepare` on.
class StorageFile {
 public:
  struct Options {
    std::filesystem::path path;
    std::int64_t bytes = 0;  ///< whole pages
    bool overwrite = false;  ///< an existing file or block device may be used; it is never removed
    bool keep = false;       ///< leave a created file
  };
  /// Called with the bytes written so far and all bytes.
  using Progress = std::function<void(std::int64_t done, std::int64_t total)>;

  /// Opens and reserves; writes nothing. Throws InputError when the path exists without leave or its file
  /// system refuses O_DIRECT, SystemError when there is no room or no permission.
  explicit StorageFile(Options options);
  ~StorageFile();
  StorageFile(const StorageFile&) = delete;
  StorageFile& operator=(const StorageFile&) = delete;

  int descriptor() const { return direct_.number(); }
  std::int64_t bytes() const { return options_.bytes; }

  /// Writes the pattern with `io`, puts it on the storage, drops it from the page cache and reads some of it
  /// back. Throws SystemError when other bytes come back, InputError when the page cache serves the reads
  /// although they were direct. Returns remarks for the results.
  std::vector<std::string> prepare(DirectIo& io, const Progress& progress);

 private:
  void create();
  void open_existing();
  void open_direct();
  void reserve();
  void remove_name();
  void write_all(DirectIo& io, const Progress& progress) const;
  double flush();
  std::string check(DirectIo& io, double cached_after_writing);
  double cached_share() const;
  std::vector<std::int64_t> sampled_pages() const;
  [[noreturn]] void fail(std::string_view what, int reason) const;

  Options options_;
  Descriptor plain_;  ///< keeps a block device from being mounted meanwhile
  Descriptor direct_;
  bool named_ = false;  ///< a file that we created still has its name
};

/// What is wrong with `path` as far as can be known without touching it.
std::vector<std::string> check_storage_path(const std::filesystem::path& path, bool overwrite);

}  // namespace kvr::flash
