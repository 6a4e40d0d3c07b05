// Mapping lookups of the device `queueing`: what a miss costs, who misses, and what the cache keeps.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "models/flash/queueing/mapping.hpp"
#include "sim/base/rng.hpp"
#include "tests/models/flash/device_runs.hpp"

namespace kvr::flash {
namespace {

using test::Bench;
using test::kHome;
using test::kKiB;
using test::plain_device;
using Lookup = Mapping::Lookup;
using Ticks = std::vector<double>;

constexpr std::int64_t kPage = 4096 * kKiB;  // data that one mapping page covers

DeviceParams with_lru(std::int64_t pages) {
  DeviceParams d = plain_device();
  d.mapping = "lru";
  d.map_coverage = static_cast<double>(pages * kPage);
  return d;
}

TEST_CASE("a miss reads a mapping page from its die before the data, a hit does not") {
  Bench bench(with_lru(1));
  // sense the page 70, one block over the channel 4
  CHECK(bench.read(0, 4 * kKiB).ends() == Ticks{11.0 + 74 + 50 + 4 + 1.5 + kHome});
  CHECK(bench.read(8 * kKiB, 4 * kKiB, 1000.0).ends() == Ticks{1011.0 + 50 + 4 + 1.5 + kHome});
  CHECK(bench.device().stats().map_misses == 1.0);
}

TEST_CASE("two commands on one missing page read it once") {
  Bench bench(with_lru(1));
  // The page is there at 85; the second command came at 15. Sensed at 85..135 and 135..185.
  CHECK(bench.read(0, 4 * kKiB).read(16 * kKiB, 4 * kKiB).ends() ==
        Ticks{135.0 + 5.5 + kHome, 185.0 + 5.5 + kHome});
  CHECK(bench.device().stats().map_misses == 1.0);
}

TEST_CASE("a cache without room for a page misses every time, but shares what is on its way") {
  Bench bench(with_lru(0));
  bench.read(0, 4 * kKiB).read(16 * kKiB, 4 * kKiB).ends();
  CHECK(bench.device().stats().map_misses == 1.0);
  bench.read(0, 4 * kKiB, 1000.0).ends();
  CHECK(bench.device().stats().map_misses == 2.0);
}

TEST_CASE("unlimited coverage never misses") {
  DeviceParams d = plain_device();
  for (const char* mapping : {"lru", "statistical"}) {
    d.mapping = mapping;
    Bench bench(d);
    bench.device().set_working_set(std::int64_t{1} << 50);
    bench.read(0, 4 * kKiB).read(std::int64_t{1} << 40, 4 * kKiB).ends();
    CHECK(bench.device().stats().map_misses == 0.0);
  }
}

TEST_CASE("only the mapping page of a command's first byte is looked up") {
  Bench bench(with_lru(8));
  bench.read(kPage - 4 * kKiB, 8 * kKiB).ends();
  CHECK(bench.device().stats().map_misses == 1.0);
  bench.read(0, 4 * kKiB, 1000.0).ends();
  CHECK(bench.device().stats().map_misses == 1.0);
}

/// Pages in order of use, most recent first.
class PlainLru {
 public:
  explicit PlainLru(std::size_t capacity) : capacity_(capacity) {}

  bool look_up(std::uint64_t page) {
    const auto found = std::ranges::find(pages_, page);
    const bool hit = found != pages_.end();
    if (hit) {
      pages_.erase(found);
    }
    pages_.insert(pages_.begin(), page);
    pages_.resize(std::min(pages_.size(), capacity_));
    return hit;
  }

 private:
  std::size_t capacity_;
  std::vector<std::uint64_t> pages_;
};

TEST_CASE("the cache keeps the pages that were used last") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    Rng rng = Rng::stream(seed, "tests/models/queueing_mapping");
    const auto pages = static_cast<std::int64_t>(1 + rng.below(12));
    Mapping mapping(with_lru(pages), seed);
    PlainLru plain(static_cast<std::size_t>(pages));
    for (std::uint32_t command = 0; command < 500; ++command) {
      const auto block = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(3 * pages) * 1024));
      const std::int64_t offset = 4 * kKiB * block;
      const Lookup found = mapping.look_up(command, offset, 4 * kKiB, 0);
      REQUIRE((found == Lookup::hit) == plain.look_up(mapping.page_of(offset)));
      if (found == Lookup::must_read) {
        std::vector<std::uint32_t> ready;
        mapping.arrived(command, offset, ready);
        REQUIRE(ready == std::vector<std::uint32_t>{command});
      }
    }
  }
}

TEST_CASE("who waits for a page on its way is told with its reader, in order") {
  Mapping mapping(with_lru(2), 1);
  CHECK(mapping.look_up(7, 0, 4 * kKiB, 0) == Lookup::must_read);
  CHECK(mapping.look_up(3, 8 * kKiB, 4 * kKiB, 0) == Lookup::waits);
  CHECK(mapping.look_up(5, kPage, 4 * kKiB, 0) == Lookup::must_read);
  CHECK(mapping.look_up(9, 4 * kKiB, 4 * kKiB, 0) == Lookup::waits);
  std::vector<std::uint32_t> ready;
  mapping.arrived(7, 0, ready);
  CHECK(ready == std::vector<std::uint32_t>{7, 3, 9});
  CHECK(mapping.look_up(4, 0, 4 * kKiB, 0) == Lookup::hit);
}

TEST_CASE("statistical misses have the share of the working set that is not covered") {
  DeviceParams d = plain_device();
  d.map_coverage = 1e9;
  Rng rng(3);
  for (const double covered : {0.1, 0.5, 0.9, 1.0}) {
    Mapping mapping(d, 11);
    mapping.set_working_set(1e9 / covered);
    constexpr int kLookups = 40'000;
    int hits = 0;
    for (int i = 0; i < kLookups; ++i) {
      // Two blocks apart, so that nothing goes on where something ended.
      const auto offset = static_cast<std::int64_t>(rng.below(std::uint64_t{1} << 32)) * 8 * kKiB;
      hits += mapping.look_up(0, offset, 4 * kKiB, static_cast<std::uint64_t>(i)) == Lookup::hit ? 1 : 0;
    }
    CAPTURE(covered);
    const double share = static_cast<double>(hits) / kLookups;
    CHECK(std::abs(share - covered) <= 4.0 * std::sqrt(covered * (1.0 - covered) / kLookups));
  }
}

TEST_CASE("statistical lookups of one address differ between batches, not within one") {
  DeviceParams d = plain_device();
  d.map_coverage = 1e9;
  Mapping mapping(d, 5);
  mapping.set_working_set(2e9);
  const Lookup first = mapping.look_up(0, 0, 4 * kKiB, 1);
  int others = 0;
  for (std::uint64_t batch = 2; batch < 34; ++batch) {
    CHECK(mapping.look_up(0, 0, 4 * kKiB, 1) == first);
    others += mapping.look_up(0, 0, 4 * kKiB, batch) == first ? 0 : 1;
  }
  CHECK(others > 0);
  CHECK(others < 32);
}

TEST_CASE("a command that goes on where one of the last eight streams ended hits") {
  DeviceParams d = plain_device();
  d.map_coverage = 1.0;  // next to nothing is covered
  Mapping mapping(d, 5);
  mapping.set_working_set(std::numeric_limits<double>::max());
  const auto look_up = [&](std::int64_t stream, std::int64_t block) {
    return mapping.look_up(0, (stream << 30) + block * 4 * kKiB, 4 * kKiB, 0);
  };
  for (std::int64_t stream = 0; stream < 8; ++stream) {
    CHECK(look_up(stream, 0) == Lookup::must_read);
  }
  for (std::int64_t block = 1; block < 4; ++block) {
    for (std::int64_t stream = 0; stream < 8; ++stream) {
      CHECK(look_up(stream, block) == Lookup::hit);
    }
  }
  CHECK(look_up(3, 2) == Lookup::must_read);  // not where it ended; takes the place of the first stream
  CHECK(look_up(0, 4) == Lookup::must_read);
  CHECK(look_up(7, 4) == Lookup::hit);
}

}  // namespace
}  // namespace kvr::flash
