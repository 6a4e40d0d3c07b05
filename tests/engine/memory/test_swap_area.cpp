// The swap area: what it reads and writes by hand, and that the flash has at any time what the cache had.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "sim/engine/memory/flash_requests.hpp"
#include "sim/engine/memory/swap_area.hpp"

namespace kvr {
namespace {

using Extents = std::vector<Extent>;
using Cached = std::vector<CachedEntry>;

/// Entries of head 0.
Cached cached(const std::vector<EntryIndex>& entries) {
  Cached all;
  for (const EntryIndex entry : entries) {
    all.push_back({0, entry});
  }
  return all;
}

Extents written_by(SwapArea& area, const Cached& entries) {
  Extents writes;
  area.write_back(entries, writes);
  return writes;
}

Extents read_by(const SwapArea& area, const Cached& entries) {
  Extents reads;
  area.read_back(entries, reads);
  return reads;
}

TEST_CASE("swap area: five steps by hand, four entries of 64 B in a block of 256 B") {
  SwapArea area(0, 64, 256);
  const auto begin_of = [&area](EntryIndex entry) { return area.record_of({0, entry}).offset_bytes; };

  // 10 11 12 13 | 14 15 . .
  CHECK(written_by(area, cached({10, 11, 12, 13, 14, 15})) == Extents{{0, 256}, {256, 256}});
  CHECK(read_by(area, cached({10, 11, 12, 13, 14, 15})) == Extents{{0, 384}});
  CHECK(area.space_bytes() == 512);

  // 11 and 12 left, 20 comes: both blocks have two slots free, the first is taken. It has room for 15, the
  // last one, as well: 10 20 15 13 | 14 . . .
  CHECK(written_by(area, cached({10, 13, 14, 15, 20})) == Extents{{0, 256}});
  CHECK(begin_of(20) == 64);
  CHECK(begin_of(15) == 128);
  CHECK(read_by(area, cached({10, 13, 14, 15, 20})) == Extents{{0, 320}});

  // Nothing comes, so nothing is written, and without 14 the second block is not read any more.
  CHECK(written_by(area, cached({10, 13, 15, 20})).empty());
  CHECK(read_by(area, cached({10, 13, 15, 20})) == Extents{{0, 256}});

  // Five come, the first block is full: 10 20 15 13 | 30 31 32 33 | 34 . . .
  CHECK(written_by(area, cached({10, 13, 15, 20, 30, 31, 32, 33, 34})) == Extents{{256, 256}, {512, 256}});
  CHECK(read_by(area, cached({10, 13, 15, 20, 30, 31, 32, 33, 34})) == Extents{{0, 576}});
  CHECK(area.space_bytes() == 768);

  // 10, 30, 31, 32 left, 40 comes: the second block has most room, and takes 34 too.
  // . 20 15 13 | 40 34 . 33
  CHECK(written_by(area, cached({13, 15, 20, 33, 34, 40})) == Extents{{256, 256}});
  CHECK(begin_of(40) == 256);
  CHECK(begin_of(34) == 320);
  CHECK(read_by(area, cached({13, 15, 20, 33, 34, 40})) == Extents{{64, 448}});
  CHECK(area.space_bytes() == 768);
}

TEST_CASE("swap area: what left the cache since it was written is read only between what is left") {
  SwapArea area(4096, 64, 256);
  written_by(area, cached({0, 1, 2, 3, 4}));
  CHECK(read_by(area, cached({1, 3})) == Extents{{4096 + 64, 192}});
  CHECK(read_by(area, {}).empty());
  CHECK_THROWS_AS(read_by(area, cached({1, 7})), InternalError);
}

TEST_CASE("swap area: heads have the same entries apart") {
  SwapArea area(0, 64, 256);
  written_by(area, {{0, 5}, {1, 5}});
  CHECK(area.record_of({0, 5}) == Extent{0, 64});
  CHECK(area.record_of({1, 5}) == Extent{64, 64});
}

TEST_CASE("swap area: no entry crosses into another group of blocks") {
  SwapArea small(0, 264, 4096);  // fifteen of them in a block
  written_by(small, cached({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}));
  CHECK(small.record_of({0, 14}) == Extent{14 * 264, 264});
  CHECK(small.record_of({0, 15}) == Extent{4096, 264});
  SwapArea large(0, 5000, 4096);  // two blocks for each
  CHECK(written_by(large, cached({0, 1})) == Extents{{0, 8192}, {8192, 8192}});
  CHECK(read_by(large, cached({0, 1})) == Extents{{0, 13192}});
}

/// A cache that changes as caches do: units of several entries come, most of the time few, and go whole.
class RandomCache {
 public:
  explicit RandomCache(Rng& rng) : rng_(rng) {}

  void step() {
    const auto chance = [this](std::uint64_t of) { return rng_.below(of) == 0; };
    std::erase_if(units_, [&](const Cached&) { return chance(4); });
    for (std::uint64_t i = rng_.below(4); i > 0; --i) {
      Cached unit;
      const auto head = static_cast<std::int64_t>(rng_.below(3));
      for (std::uint64_t entries = 1 + rng_.below(9); entries > 0; --entries) {
        unit.push_back({head, next_++});
      }
      units_.push_back(unit);
    }
  }

  Cached entries() const {
    Cached all;
    for (const Cached& unit : units_) {
      all.insert(all.end(), unit.begin(), unit.end());
    }
    return all;
  }

 private:
  Rng& rng_;
  std::vector<Cached> units_;
  EntryIndex next_ = 0;
};

/// What lies on the flash: written with the area's places as they are then, and nothing else.
class Flash {
 public:
  void write(const Extents& writes, const SwapArea& area, const Cached& entries) {
    for (const Extent& write : writes) {
      std::erase_if(at_, [&write](const auto& record) {
        return record.first >= write.offset_bytes && record.first < write.end_bytes();
      });
      for (const CachedEntry& entry : entries) {
        const Extent record = area.record_of(entry);
        if (record.offset_bytes >= write.offset_bytes && record.end_bytes() <= write.end_bytes()) {
          at_[record.offset_bytes] = {entry.head, entry.entry};
        }
      }
    }
  }
  bool has(const Extent& record, const CachedEntry& entry) const {
    const auto found = at_.find(record.offset_bytes);
    return found != at_.end() && found->second == std::pair(entry.head, entry.entry);
  }

 private:
  std::map<std::int64_t, std::pair<std::int64_t, EntryIndex>> at_;
};

struct Shape {
  std::int64_t entry_bytes;
  std::int64_t block_bytes;
  std::int64_t slots_per_group;
  std::int64_t group_bytes;
};

/// One step; `before` is what the cache held at its beginning.
void check_step(SwapArea& area, Flash& flash, const Shape& shape, const Cached& before, const Cached& now) {
  std::set<std::pair<std::int64_t, EntryIndex>> old;
  for (const CachedEntry& entry : before) {
    old.insert({entry.head, entry.entry});
  }
  const auto newcomers = std::ranges::count_if(now, [&](const CachedEntry& entry) {
    return !old.contains({entry.head, entry.entry});
  });
  const Extents writes = written_by(area, now);
  flash.write(writes, area, now);
  CHECK(std::ssize(writes) <= newcomers);
  CHECK(std::ssize(writes) * shape.slots_per_group >= newcomers);

  Extents records;
  std::int64_t lost = 0;
  for (const CachedEntry& entry : now) {
    records.push_back(area.record_of(entry));
    lost += flash.has(records.back(), entry) ? 0 : 1;
  }
  CHECK(lost == 0);
  const std::int64_t bytes = total_bytes(records);
  merge_extents(records);
  CHECK(bytes == std::ssize(now) * shape.entry_bytes);
  CHECK(total_bytes(records) == bytes);
  CHECK(area.space_bytes() >= bytes);
  const Extents reads = read_by(area, now);
  CHECK(reads.size() == (now.empty() ? 0U : 1U));
  if (!now.empty()) {
    CHECK(reads.front() ==
          Extent{records.front().offset_bytes, records.back().end_bytes() - records.front().offset_bytes});
  }
}

TEST_CASE("swap area: after every step the flash has all that is cached, no two entries in one place") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    Rng rng = Rng::stream(seed, "swap area");
    const Shape shape = rng.below(4) == 0 ? Shape{300, 256, 1, 512} : Shape{60, 256, 4, 256};
    SwapArea area(0, shape.entry_bytes, shape.block_bytes);
    RandomCache cache(rng);
    Flash flash;
    Cached before;
    std::int64_t most = 0;
    for (int step = 0; step < 40; ++step) {
      cache.step();
      const Cached now = cache.entries();
      check_step(area, flash, shape, before, now);
      most = std::max<std::int64_t>(most, std::ssize(now));
      before = now;
    }
    // It grows only where no slot is free.
    const std::int64_t groups = (most + shape.slots_per_group - 1) / shape.slots_per_group;
    CHECK(area.space_bytes() == groups * shape.group_bytes);
  }
}

}  // namespace
}  // namespace kvr
