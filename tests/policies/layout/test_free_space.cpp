#include <doctest/doctest.h>

#include <vector>

#include "policies/layout/placing/free_space.hpp"
#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"

namespace kvr {
namespace {

TEST_CASE("free space: the first hole that is large enough, the last one may be lengthened") {
  FreeSpace space;
  for (int i = 0; i < 6; ++i) {
    CHECK(space.take(10) == 10 * i);
  }
  space.release({0, 10});
  space.release({20, 10});
  space.release({30, 10});  // [20, 40) in one piece
  CHECK(space.take(15) == 20);
  CHECK(space.take(5) == 0);
  CHECK_FALSE(space.take_at(5, 6));
  CHECK(space.take_at(5, 5));
  space.release({50, 10});
  CHECK(space.take(30) == 50);
  CHECK(space.end_bytes() == 80);
  CHECK_THROWS_AS(space.release({35, 3}), InternalError);
}

TEST_CASE("free space: an aligned range takes along what is free before it") {
  FreeSpace space;
  CHECK(space.take(10) == 0);
  CHECK(space.take_aligned(40, 20) == Extent{10, 50});  // [20, 60) is aligned
  CHECK(space.take(10) == 60);
  space.release({10, 50});
  CHECK(space.take_aligned(60, 20) == Extent{70, 70});
  CHECK(space.take_aligned(20, 20) == Extent{10, 30});
  CHECK(space.take(20) == 40);
}

/// Whether [offset, offset + bytes) is free in `used`, which counts bytes and ends where all is free.
bool is_free(const std::vector<bool>& used, std::int64_t offset, std::int64_t bytes) {
  for (std::int64_t i = offset; i < std::min(offset + bytes, std::ssize(used)); ++i) {
    if (used[static_cast<std::size_t>(i)]) {
      return false;
    }
  }
  return true;
}

void mark(std::vector<bool>& used, const Extent& extent, bool value) {
  used.resize(std::max(used.size(), static_cast<std::size_t>(extent.end_bytes())), false);
  for (std::int64_t i = extent.offset_bytes; i < extent.end_bytes(); ++i) {
    used[static_cast<std::size_t>(i)] = value;
  }
}

TEST_CASE("free space: as a search byte by byte finds, over 200 random runs") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    FreeSpace space;
    std::vector<bool> used;
    std::vector<Extent> taken;
    for (int i = 0; i < 100; ++i) {
      const auto bytes = static_cast<std::int64_t>(1 + rng.below(12));
      const std::uint64_t choice = rng.below(3);
      if (choice == 0 || taken.empty()) {
        std::int64_t expected = 0;
        while (!is_free(used, expected, bytes)) {
          ++expected;
        }
        REQUIRE(space.take(bytes) == expected);
        taken.push_back({expected, bytes});
        mark(used, taken.back(), true);
      } else if (choice == 1) {
        Extent& extent = taken[rng.below(taken.size())];
        const bool free = is_free(used, extent.end_bytes(), bytes);
        REQUIRE(space.take_at(extent.end_bytes(), bytes) == free);
        extent.length_bytes += free ? bytes : 0;
        mark(used, extent, true);
      } else {
        const auto which = static_cast<std::ptrdiff_t>(rng.below(taken.size()));
        Extent& extent = taken[static_cast<std::size_t>(which)];
        const std::int64_t left = std::max<std::int64_t>(0, extent.length_bytes - bytes);
        const Extent tail = {extent.offset_bytes + left, extent.length_bytes - left};
        space.release(tail);
        mark(used, tail, false);
        extent.length_bytes = left;
        if (left == 0) {
          taken.erase(taken.begin() + which);
        }
      }
      REQUIRE(space.end_bytes() == std::ssize(used));
    }
  }
}

}  // namespace
}  // namespace kvr
