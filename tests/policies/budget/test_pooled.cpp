// A pool shared by heads: a case by hand, AdaKV's invariants on random scores, and a plain reference.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/interfaces/budget.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

struct Head {
  std::vector<float> scores;
  std::vector<std::int32_t> sizes;
};

std::vector<std::int64_t> allot(const std::vector<Head>& heads, std::int64_t entries, double safeguard) {
  const auto budget = test::make<Budget>("pooled", {{"entries", entries}, {"safeguard", safeguard}},
                                         {.layers = 1, .kv_heads = 2, .prompt_entries = 8});
  std::vector<HeadCandidates> views;
  for (const Head& head : heads) {
    const auto all = std::accumulate(head.sizes.begin(), head.sizes.end(), std::int64_t{0});
    views.push_back({.layer = 0,
                     .head = 0,
                     .visible = all,
                     .candidates = all,
                     .scores = head.scores,
                     .sizes = head.sizes});
  }
  std::vector<std::int64_t> allotted(heads.size(), -1);
  budget->allot(views, allotted);
  return allotted;
}

std::vector<Head> random_heads(Rng& rng, std::int32_t largest_unit) {
  std::vector<Head> heads(4);
  for (Head& head : heads) {
    for (int unit = 0; unit < 40; ++unit) {
      head.scores.push_back(static_cast<float>(rng.uniform()));
      head.sizes.push_back(1 + static_cast<std::int32_t>(rng.uniform() * largest_unit));
    }
  }
  return heads;
}

TEST_CASE("pooled: two heads by hand") {
  const std::vector<Head> heads = {{{0.9F, 0.8F, 0.1F}, {1, 1, 1}}, {{0.7F, 0.2F, 0.05F}, {1, 1, 1}}};
  CHECK(allot(heads, 1, 0.0) == std::vector<std::int64_t>{2, 0});
  CHECK(allot(heads, 2, 0.0) == std::vector<std::int64_t>{2, 2});
  CHECK(allot(heads, 1, 1.0) == std::vector<std::int64_t>{1, 1});
  CHECK(allot(heads, 1, 0.5) == std::vector<std::int64_t>{2, 1});  // 1.5 and 0.5, halves up
  // A unit that the pool does not hold any more is cut.
  CHECK(allot({{{0.9F}, {5}}, {{0.8F}, {5}}}, 3, 0.0) == std::vector<std::int64_t>{5, 1});
  CHECK(allot(heads, 100, 0.0) == std::vector<std::int64_t>{3, 3});
}

TEST_CASE("pooled: what a head wins is what a sort of all units gives it, and retains the most score") {
  Rng rng(20);
  for (int repeat = 0; repeat < 50; ++repeat) {
    const std::vector<Head> heads = random_heads(rng, 1);
    std::vector<std::tuple<float, std::size_t>> all;
    for (std::size_t h = 0; h < heads.size(); ++h) {
      for (const float score : heads[h].scores) {
        all.emplace_back(-score, h);
      }
    }
    std::ranges::sort(all);
    std::vector<std::int64_t> expected(heads.size(), 0);
    for (std::size_t i = 0; i < 4 * 9; ++i) {
      ++expected[std::get<1>(all[i])];
    }
    const auto allotted = allot(heads, 9, 0.0);
    CHECK(allotted == expected);
    const auto retained = [&](std::size_t h, std::int64_t count) {
      std::vector<float> scores = heads[h].scores;
      std::ranges::sort(scores, std::ranges::greater{});
      return std::accumulate(scores.begin(), scores.begin() + count, 0.0);
    };
    double pooled = 0.0;
    double uniform = 0.0;
    for (std::size_t h = 0; h < heads.size(); ++h) {
      pooled += retained(h, allotted[h]);
      uniform += retained(h, 9);
    }
    CHECK(pooled >= uniform - 1e-9);
  }
}

TEST_CASE("pooled: the pool is spent but for rounding, and the safeguard holds") {
  Rng rng(21);
  for (const double safeguard : {0.0, 0.2, 0.5, 1.0}) {
    for (const std::int32_t largest : {1, 7}) {
      const std::vector<Head> heads = random_heads(rng, largest);
      const auto allotted = allot(heads, 12, safeguard);
      const auto sum = std::accumulate(allotted.begin(), allotted.end(), std::int64_t{0});
      CHECK(std::abs(sum - 4 * 12) <= 2);  // half an entry a head
      CHECK(std::ranges::min(allotted) >= static_cast<std::int64_t>(std::floor(safeguard * 12.0)));
    }
  }
}

}  // namespace
}  // namespace kvr
