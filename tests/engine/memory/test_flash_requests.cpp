#include <doctest/doctest.h>

#include <set>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/engine/memory/flash_requests.hpp"

namespace kvr {
namespace {

using Extents = std::vector<Extent>;

Extents merged(Extents extents) {
  merge_extents(extents);
  return extents;
}

Extents aligned(Extents extents, std::int64_t block_bytes) {
  align_and_merge(extents, block_bytes);
  return extents;
}

TEST_CASE("extents that touch or overlap become one, in order of offset") {
  CHECK(merged({{30, 10}, {0, 10}, {10, 5}, {12, 8}}) == Extents{{0, 20}, {30, 10}});
  CHECK(merged({{0, 100}, {10, 5}, {99, 1}}) == Extents{{0, 100}});
  CHECK(merged({{0, 10}, {11, 1}}) == Extents{{0, 10}, {11, 1}});
  CHECK(merged({{5, 5}, {5, 5}}) == Extents{{5, 5}});
  CHECK(merged({}).empty());
}

TEST_CASE("requests are whole blocks: neighbours that share a block become one") {
  CHECK(aligned({{100, 64}, {4000, 200}}, 4096) == Extents{{0, 8192}});
  CHECK(aligned({{4095, 1}, {12288, 1}}, 4096) == Extents{{0, 4096}, {12288, 4096}});
  CHECK(aligned({{0, 4096}, {4096, 4096}}, 4096) == Extents{{0, 8192}});
  CHECK(aligned({{8191, 2}}, 4096) == Extents{{4096, 8192}});
}

TEST_CASE("contiguity counts runs in entries, before they are widened to blocks") {
  const Extents runs = {{0, 64}, {128, 192}};
  const Contiguity contiguity = contiguity_of(runs, 64);
  CHECK(contiguity.runs == 2);
  CHECK(contiguity.mean_entries == 2.0);
  CHECK(contiguity.max_entries == 3.0);
  CHECK(contiguity_of({}, 64).runs == 0);
  CHECK(total_bytes(runs) == 256);
}

TEST_CASE("contiguity of entries of several sizes counts those that were merged") {
  Extents records = {{200, 7}, {0, 10}, {10, 3}, {13, 90}, {300, 1}};
  std::vector<std::int64_t> entries;
  merge_extents(records, entries);
  CHECK(records == Extents{{0, 103}, {200, 7}, {300, 1}});
  CHECK(entries == std::vector<std::int64_t>{3, 1, 1});
  const Contiguity contiguity = contiguity_of(entries);
  CHECK(contiguity.runs == 3);
  CHECK(contiguity.mean_entries == 5.0 / 3.0);
  CHECK(contiguity.max_entries == 3.0);
  CHECK(contiguity_of(std::vector<std::int64_t>()).runs == 0);
}

std::set<std::int64_t> covered(const Extents& extents) {
  std::set<std::int64_t> bytes;
  for (const Extent& extent : extents) {
    for (std::int64_t at = extent.offset_bytes; at < extent.end_bytes(); ++at) {
      bytes.insert(at);
    }
  }
  return bytes;
}

void check_sorted_and_apart(const Extents& extents) {
  for (std::size_t i = 1; i < extents.size(); ++i) {
    CHECK(extents[i - 1].end_bytes() < extents[i].offset_bytes);
  }
}

TEST_CASE("500 random merges cover the same bytes, sorted and apart, and aligning covers their blocks") {
  constexpr std::int64_t kBlock = 16;
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    Extents extents(rng.below(30));
    for (Extent& extent : extents) {
      extent = {static_cast<std::int64_t>(rng.below(600)), static_cast<std::int64_t>(1 + rng.below(25))};
    }
    const std::set<std::int64_t> bytes = covered(extents);
    const Extents result = merged(extents);
    CHECK(covered(result) == bytes);
    check_sorted_and_apart(result);
    std::set<std::int64_t> blocks;
    for (const std::int64_t at : bytes) {
      for (std::int64_t i = 0; i < kBlock; ++i) {
        blocks.insert(at / kBlock * kBlock + i);
      }
    }
    const Extents whole = aligned(extents, kBlock);
    CHECK(covered(whole) == blocks);
    check_sorted_and_apart(whole);
  }
}

}  // namespace
}  // namespace kvr
