// Entries close to the best: cases by hand, InfiniGen's invariants on random scores, and a plain reference.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/interfaces/budget.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

struct Head {
  std::vector<float> scores;
  std::vector<std::int32_t> sizes;
  std::int64_t visible;
};

std::vector<std::int64_t> allot(const std::vector<Head>& heads, const ParamValues& params) {
  const auto budget =
      test::make<Budget>("alpha_mean", params, {.layers = 1, .kv_heads = 2, .prompt_entries = 8});
  std::vector<HeadCandidates> views;
  for (const Head& head : heads) {
    views.push_back({.layer = 0,
                     .head = 0,
                     .visible = head.visible,
                     .candidates = head.visible,
                     .scores = head.scores,
                     .sizes = head.sizes});
  }
  std::vector<std::int64_t> allotted(heads.size(), -1);
  budget->allot(views, allotted);
  return allotted;
}

ParamValues uncapped(double alpha) {
  return {{"alpha", alpha}, {"cap_share", 1.0}};
}

std::vector<Head> random_heads(Rng& rng, std::size_t heads) {
  std::vector<Head> made(heads);
  for (Head& head : made) {
    const auto offset = static_cast<float>(20.0 * rng.normal());
    head.visible = 1;
    for (int unit = 0; unit < 60; ++unit) {
      head.scores.push_back(offset + static_cast<float>(3.0 * rng.normal()));
      head.sizes.push_back(static_cast<std::int32_t>(rng.below(4)));
      head.visible += head.sizes.back();
    }
  }
  return made;
}

TEST_CASE("alpha_mean: two heads by hand, and both caps") {
  // Within 2 of 9: 9 and 7, three entries; within 2 of 1: 1 and 0 and -1, of one entry each, and none of the
  // unit of 8, in which nothing can be chosen. The mean is 3.
  const std::vector<Head> heads = {{{9.0F, 7.0F, 6.9F}, {1, 2, 5}, 20},
                                   {{1.0F, 8.0F, 0.0F, -1.0F}, {1, 0, 1, 1}, 20}};
  CHECK(allot(heads, uncapped(2.0)) == std::vector<std::int64_t>{3, 3});
  // (8 + 3) / 2, rounded down.
  CHECK(allot(heads, uncapped(2.5)) == std::vector<std::int64_t>{5, 5});
  CHECK(allot(heads, {{"alpha", 2.5}, {"cap_share", 0.2}}) == std::vector<std::int64_t>{4, 4});
  CHECK(allot(heads, {{"alpha", 2.5}, {"cap_share", 1.0}, {"cap_entries", std::int64_t{2}}}) ==
        std::vector<std::int64_t>{2, 2});
  CHECK(allot(heads, uncapped(0.0)) == std::vector<std::int64_t>{1, 1});  // the best alone
}

TEST_CASE(
    "alpha_mean: a head in which nothing can be chosen counts as none, and the cap is each head's own") {
  CHECK(allot({{{5.0F, 5.0F}, {3, 4}, 30}, {{5.0F}, {0}, 10}}, {{"alpha", 1.0}, {"cap_share", 0.2}}) ==
        std::vector<std::int64_t>{3, 2});
  CHECK(allot({{{}, {}, 1}}, uncapped(1.0)) == std::vector<std::int64_t>{0});
}

TEST_CASE(
    "alpha_mean: InfiniGen's invariants: no fewer with more alpha, all with enough, heads in any order") {
  Rng rng(30);
  for (int repeat = 0; repeat < 30; ++repeat) {
    CAPTURE(repeat);
    std::vector<Head> heads = random_heads(rng, 4);
    std::int64_t entries = 0;
    for (Head& head : heads) {
      entries += head.visible - 1;
      head.visible = 1000;  // no cap binds
    }
    std::int64_t last = 0;
    for (const double alpha : {0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 1000.0}) {
      const auto allotted = allot(heads, uncapped(alpha));
      CHECK(std::ranges::count(allotted, allotted.front()) == 4);
      CHECK(allotted.front() >= last);
      last = allotted.front();
    }
    CHECK(last == entries / 4);
    const auto before = allot(heads, uncapped(2.0));
    std::ranges::rotate(heads, heads.begin() + 1);
    CHECK(allot(heads, uncapped(2.0)) == before);
  }
}

TEST_CASE("alpha_mean: what a count entry by entry comes to") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const std::vector<Head> heads = random_heads(rng, 1 + rng.below(5));
    const double alpha = 6.0 * rng.uniform();
    const double share = rng.uniform();
    std::int64_t all = 0;
    for (const Head& head : heads) {
      std::vector<double> entries;
      for (std::size_t unit = 0; unit < head.scores.size(); ++unit) {
        entries.insert(entries.end(), static_cast<std::size_t>(head.sizes[unit]),
                       static_cast<double>(head.scores[unit]));
      }
      std::ranges::sort(entries, std::ranges::greater{});
      all += std::ranges::count_if(entries, [&](double score) { return entries.front() - score <= alpha; });
    }
    std::vector<std::int64_t> expected;
    for (const Head& head : heads) {
      expected.push_back(std::min(all / std::ssize(heads), static_cast<std::int64_t>(std::floor(
                                                               share * static_cast<double>(head.visible)))));
    }
    CHECK(allot(heads, {{"alpha", alpha}, {"cap_share", share}}) == expected);
  }
}

}  // namespace
}  // namespace kvr
