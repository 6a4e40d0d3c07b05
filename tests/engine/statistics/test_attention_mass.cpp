#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "sim/engine/statistics/attention_mass.hpp"

namespace kvr {
namespace {

std::vector<std::int64_t> counts_for(const std::vector<float>& weights, const std::vector<double>& shares) {
  std::vector<std::int64_t> counts(shares.size());
  count_entries_for(weights, shares, counts);
  return counts;
}

TEST_CASE("entries for a share of the mass are the heaviest that add up to it") {
  const std::vector<float> weights = {0.0625F, 0.5F, 0.0625F, 0.25F, 0.125F};
  CHECK(counts_for(weights, {0.4, 0.5, 0.51, 0.75, 0.9, 0.95, 1.0}) ==
        std::vector<std::int64_t>{1, 1, 2, 2, 4, 5, 5});
}

TEST_CASE("among equal weights a share of the mass is that share of the entries, rounded up") {
  for (std::int64_t entries = 1; entries <= 1000; ++entries) {
    CAPTURE(entries);
    const std::vector<float> weights(static_cast<std::size_t>(entries), 1.0F / static_cast<float>(entries));
    CHECK(counts_for(weights, {0.5, 0.9, 0.95, 0.99}) ==
          std::vector<std::int64_t>{(entries + 1) / 2, (9 * entries + 9) / 10, (19 * entries + 19) / 20,
                                    (99 * entries + 99) / 100});
  }
}

TEST_CASE("one weight holds everything, and weights of zero hold nothing") {
  CHECK(counts_for({1.0F}, {0.5, 0.99}) == std::vector<std::int64_t>{1, 1});
  CHECK(counts_for({0.0F, 0.0F, 1.0F, 0.0F}, {0.5, 0.99, 1.0}) == std::vector<std::int64_t>{1, 1, 1});
}

TEST_CASE("the mass of sinks and of windows, which leave the sinks out") {
  AttentionMass mass(2);
  std::vector<float> probabilities(41, 0.0F);  // 40 before the current one: the window of 32 begins at 8
  probabilities[0] = 0.25F;
  probabilities[1] = 0.125F;
  probabilities[2] = 0.0625F;
  probabilities[7] = 0.0625F;
  probabilities[8] = 0.25F;
  probabilities[40] = 0.25F;
  mass.observe(probabilities);
  CHECK(mass.sink_mass() == 0.375);
  CHECK(mass.window_mass(0) == 0.5);
  CHECK(mass.window_mass(1) == 0.625);
  CHECK(mass.window_mass(2) == 0.625);
}

TEST_CASE("the current entry is never a sink") {
  AttentionMass mass(4);
  mass.observe(std::vector<float>{0.25F, 0.75F});
  CHECK(mass.sink_mass() == 0.25);
  CHECK(mass.window_mass(0) == 0.75);
}

TEST_CASE("means and the 95th percentile are over the queries") {
  AttentionMass mass(0);
  mass.observe(std::vector<float>(10, 0.1F));                      // 5 of 10 hold half
  mass.observe(std::vector<float>{1.0F, 0.0F, 0.0F, 0.0F, 0.0F});  // 1 of 5
  const AttentionMass::Entries half = mass.entries_for(0);
  CHECK(half.mean == 3.0);
  CHECK(half.p95 == doctest::Approx(1.0 + 0.95 * 4.0));
  CHECK(half.visible_share == doctest::Approx((0.5 + 0.2) / 2.0));
}

}  // namespace
}  // namespace kvr
