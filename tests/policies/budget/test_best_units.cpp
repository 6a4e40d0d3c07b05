#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/interfaces/budget.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

std::int64_t allot(const std::vector<float>& scores, const std::vector<std::int32_t>& sizes, double share,
                   std::int64_t least) {
  const auto budget = test::make<Budget>("best_units", {{"share", share}, {"least", least}},
                                         {.layers = 1, .kv_heads = 1, .prompt_entries = 8});
  const std::vector<HeadCandidates> heads = {
      {.layer = 0, .head = 0, .visible = 100, .candidates = 90, .scores = scores, .sizes = sizes}};
  std::vector<std::int64_t> entries(1, -1);
  budget->allot(heads, entries);
  return entries.front();
}

TEST_CASE("best_units: half of six units, by hand") {
  const std::vector<float> scores = {0.1F, 0.4F, 0.2F, 0.4F, 0.0F, 0.3F};
  CHECK(allot(scores, {1, 2, 4, 8, 16, 32}, 0.5, 1) == 2 + 8 + 32);
  CHECK(allot(scores, {1, 2, 4, 8, 16, 32}, 0.25, 1) == 2 + 8);  // 1.5, rounded up; a tie
  CHECK(allot(scores, {1, 2, 4, 8, 16, 32}, 0.01, 1) == 2);
  CHECK(allot(scores, {1, 2, 4, 8, 16, 32}, 0.01, 0) == 0);
  // What was taken already makes room for the next best, but counts among the units.
  CHECK(allot(scores, {1, 0, 4, 8, 16, 32}, 0.5, 1) == 8 + 32 + 4);
  CHECK(allot(scores, {0, 0, 4, 0, 0, 0}, 1.0, 1) == 4);
  CHECK(allot({}, {}, 0.5, 1) == 0);
}

TEST_CASE("best_units: what a sort of the units gives, and no less of a larger share") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    std::vector<float> scores;
    std::vector<std::int32_t> sizes;
    for (int unit = 0; unit < 50; ++unit) {
      scores.push_back(static_cast<float>(rng.below(20)));
      sizes.push_back(static_cast<std::int32_t>(rng.below(5)));
    }
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::erase_if(order, [&](std::size_t unit) { return sizes[unit] == 0; });
    std::ranges::stable_sort(order, std::ranges::greater{}, [&](std::size_t unit) { return scores[unit]; });
    std::int64_t last = 0;
    for (const double share : {0.0, 0.03, 0.2, 0.51, 0.9, 1.0}) {
      const auto count = std::max<std::size_t>(2, static_cast<std::size_t>(std::floor(50.0 * share + 0.5)));
      std::int64_t expected = 0;
      for (std::size_t i = 0; i < std::min(count, order.size()); ++i) {
        expected += sizes[order[i]];
      }
      const std::int64_t entries = allot(scores, sizes, share, 2);
      CHECK(entries == expected);
      CHECK(entries >= last);
      last = entries;
    }
  }
}

}  // namespace
}  // namespace kvr
