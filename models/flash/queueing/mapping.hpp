#pragma once

#include <cstdint>
#include <list>
#include <unordered_map>
#include <vector>

#include "models/flash/device_params.hpp"

namespace kvr::flash {

/// Which lookups of the mapping table need a page of it from the array.
///
/// statistical: a lookup misses with probability 1 - coverage / working set, decided by a hash of seed,
///   address and batch, so that the order of what is submitted at once does not matter. A command that goes
///   on where one of the last kStreams commands ended finds the page that command used.
/// lru: pages of 1024 entries (4 MiB of data with 4 KiB blocks) in a cache of coverage / page pages, least
///   recently used out first. Who misses a page that is on its way waits for it.
class Mapping {
 public:
  static constexpr std::int64_t kEntriesPerPage = 1024;

  Mapping(const DeviceParams& device, std::uint64_t root_seed);

  void set_working_set(double bytes);

  enum class Lookup : std::uint8_t {
    hit,
    waits,      ///< for a page that somebody else has asked for
    must_read,  ///< the page
  };
  /// Of the page that holds the first byte of `command`. `batch` counts the batches.
  Lookup look_up(std::uint32_t command, std::int64_t offset_bytes, std::int64_t length_bytes,
                 std::uint64_t batch);
  /// The page that `command` at `offset_bytes` had to read is there: appends it and those that waited with
  /// it.
  void arrived(std::uint32_t command, std::int64_t offset_bytes, std::vector<std::uint32_t>& commands);
  std::uint64_t page_of(std::int64_t offset_bytes) const {
    return static_cast<std::uint64_t>(offset_bytes) / page_bytes_;
  }
  bool may_miss() const { return is_lru_ || hits_ < 1.0; }

 private:
  Lookup look_up_cache(std::uint32_t command, std::uint64_t page);
  Lookup draw(std::int64_t offset_bytes, std::int64_t length_bytes, std::uint64_t batch);
  bool continues_stream(std::int64_t offset_bytes, std::int64_t length_bytes);
  bool is_cached(std::uint64_t page);
  void keep(std::uint64_t page);

  static constexpr std::size_t kStreams = 8;

  bool is_lru_;
  double coverage_bytes_;
  std::uint64_t page_bytes_;
  std::uint64_t seed_;
  double hits_ = 1.0;
  std::vector<std::int64_t> stream_ends_;
  std::size_t oldest_stream_ = 0;
  double capacity_pages_;
  std::list<std::uint64_t> recent_;  ///< pages, most recent first
  std::unordered_map<std::uint64_t, std::list<std::uint64_t>::iterator> cached_;
  std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> waiting_;  ///< for a page on its way
};

}  // namespace kvr::flash
