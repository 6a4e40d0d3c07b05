// A pyramid over layers: cases by hand, PyramidKV's invariants, and its integer arithmetic.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/interfaces/budget.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

struct Pyramid {
  std::int64_t entries = 56;
  double beta = 20.0;
  std::string arithmetic = "exact";
  std::int64_t layers = 32;
  std::int64_t candidates = 4000;
  std::int64_t pinned = 8;
};

/// What the head of each of the model's layers gets, all of them captured.
std::vector<std::int64_t> allot(const Pyramid& pyramid) {
  const auto budget = test::make<Budget>(
      "pyramid", {{"entries", pyramid.entries}, {"beta", pyramid.beta}, {"arithmetic", pyramid.arithmetic}},
      {.layers = pyramid.layers,
       .kv_heads = 1,
       .prompt_entries = pyramid.candidates + pyramid.pinned,
       .model_layers = pyramid.layers});
  std::vector<HeadCandidates> heads;
  for (std::int64_t layer = 0; layer < pyramid.layers; ++layer) {
    heads.push_back({.layer = layer,
                     .layer_number = layer,
                     .head = 0,
                     .visible = pyramid.candidates + pyramid.pinned,
                     .candidates = pyramid.candidates,
                     .scores = {},
                     .sizes = {}});
  }
  std::vector<std::int64_t> entries(heads.size(), -1);
  budget->allot(heads, entries);
  return entries;
}

std::int64_t sum_of(const std::vector<std::int64_t>& entries) {
  return std::accumulate(entries.begin(), entries.end(), std::int64_t{0});
}

TEST_CASE("pyramid: five layers by hand") {
  // least 10 / 5 = 2, most 18, step 4.
  CHECK(allot({.entries = 10, .beta = 5.0, .layers = 5}) == std::vector<std::int64_t>{18, 14, 10, 6, 2});
  // least 10 / 4 = 2.5, most 17.5, step 15 / 4: 17.5, 13.75, 10, 6.25, 2.5.
  CHECK(allot({.entries = 10, .beta = 4.0, .layers = 5}) == std::vector<std::int64_t>{18, 14, 10, 6, 2});
  // In integers: least 2, most 18, step 16 / 4 = 4; with 12 entries least 3, most 21, step 18 / 4 = 4.
  CHECK(allot({.entries = 10, .beta = 4.0, .arithmetic = "integer", .layers = 5}) ==
        std::vector<std::int64_t>{18, 14, 10, 6, 2});
  CHECK(allot({.entries = 12, .beta = 4.0, .arithmetic = "integer", .layers = 5}) ==
        std::vector<std::int64_t>{21, 17, 13, 9, 5});
}

TEST_CASE("pyramid: the lowest layer gets no more than there is, and the highest so much more") {
  // most 19 -> 14, least 6, step 2.
  for (const char* arithmetic : {"exact", "integer"}) {
    CHECK(allot({.entries = 10, .beta = 10.0, .arithmetic = arithmetic, .layers = 5, .candidates = 14}) ==
          std::vector<std::int64_t>{14, 12, 10, 8, 6});
  }
}

TEST_CASE("pyramid: a short prompt is kept, one that is not twice as long gets the mean everywhere") {
  for (const char* arithmetic : {"exact", "integer"}) {
    for (const std::int64_t candidates : {0, 1, 55, 56, 57, 103}) {
      const auto entries = allot({.arithmetic = arithmetic, .candidates = candidates});
      CHECK(std::ranges::all_of(entries, [](std::int64_t one) { return one == 56; }));
    }
    // 104 and the 8 that are pinned are twice 56: most = 104, least = 8.
    CHECK(allot({.arithmetic = arithmetic, .candidates = 104}).front() == 104);
    CHECK(allot({.arithmetic = arithmetic, .layers = 1}) == std::vector<std::int64_t>{56});
    CHECK(sum_of(allot({.entries = 0, .arithmetic = arithmetic})) == 0);
  }
}

TEST_CASE(
    "pyramid: the mean over the layers is what was asked for, and no layer gets more than the one below") {
  Rng rng(31);
  for (int repeat = 0; repeat < 500; ++repeat) {
    const Pyramid pyramid{.entries = static_cast<std::int64_t>(rng.below(300)),
                          .beta = 1.0 + 30.0 * rng.uniform(),
                          .layers = 1 + static_cast<std::int64_t>(rng.below(90)),
                          .candidates = static_cast<std::int64_t>(rng.below(2000))};
    CAPTURE(repeat);
    const auto entries = allot(pyramid);
    CHECK(sum_of(entries) == pyramid.entries * pyramid.layers);
    CHECK(std::ranges::is_sorted(entries, std::ranges::greater{}));
    CHECK(entries.back() >= 0);
  }
}

TEST_CASE("pyramid: beta of 1 is the same number everywhere") {
  for (const char* arithmetic : {"exact", "integer"}) {
    const auto entries = allot({.beta = 1.0, .arithmetic = arithmetic});
    CHECK(std::ranges::all_of(entries, [](std::int64_t one) { return one == 56; }));
  }
}

TEST_CASE("pyramid: what integers add to the mean") {
  // 64 less a window of 8: least 56 / 20 = 2, most 110, step 108 / 31 = 3: 32 * 110 - 3 * 496 = 2032, not
  // 1792.
  CHECK(sum_of(allot({.arithmetic = "integer"})) == 2032);
  CHECK(sum_of(allot({})) == 1792);
  // 128 less 8: least 6, most 234, step 228 / 31 = 7: 32 * 234 - 7 * 496 = 4016, not 3840.
  CHECK(sum_of(allot({.entries = 120, .arithmetic = "integer"})) == 4016);
}

TEST_CASE("pyramid: real numbers are those of the formula, halves apart") {
  Rng rng(32);
  for (int repeat = 0; repeat < 200; ++repeat) {
    const Pyramid pyramid{.entries = 1 + static_cast<std::int64_t>(rng.below(300)),
                          .beta = 1.0 + 30.0 * rng.uniform(),
                          .layers = 2 + static_cast<std::int64_t>(rng.below(90)),
                          .candidates = 600 + static_cast<std::int64_t>(rng.below(2000))};
    CAPTURE(repeat);
    const auto entries = allot(pyramid);
    const auto mean = static_cast<double>(pyramid.entries);
    double least = mean / pyramid.beta;
    double most = 2.0 * mean - least;
    if (most >= static_cast<double>(pyramid.candidates)) {
      most = static_cast<double>(pyramid.candidates);
      least = 2.0 * mean - most;
    }
    for (std::size_t layer = 0; layer < entries.size(); ++layer) {
      const double expected =
          most - static_cast<double>(layer) * (most - least) / static_cast<double>(pyramid.layers - 1);
      CHECK(std::abs(static_cast<double>(entries[layer]) - expected) <= 0.5 + 1e-9);
    }
  }
}

TEST_CASE("pyramid: layers are those of the model, whichever were captured, and heads do not matter") {
  const auto budget =
      test::make<Budget>("pyramid", {{"entries", 10}, {"beta", 5.0}},
                         {.layers = 2, .kv_heads = 2, .prompt_entries = 108, .model_layers = 5});
  std::vector<HeadCandidates> heads;
  for (std::int64_t place = 0; place < 4; ++place) {
    heads.push_back({.layer = place / 2,
                     .layer_number = place < 2 ? 1 : 4,
                     .head = place % 2,
                     .visible = 108,
                     .candidates = 100,
                     .scores = {},
                     .sizes = {}});
  }
  std::vector<std::int64_t> entries(4, -1);
  budget->allot(heads, entries);
  CHECK(entries == std::vector<std::int64_t>{14, 14, 2, 2});
  CHECK_FALSE(budget->compares_heads());
}

}  // namespace
}  // namespace kvr
