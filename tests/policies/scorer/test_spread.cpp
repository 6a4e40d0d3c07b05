#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include "sim/interfaces/scorer.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

/// Of single entries, for two queries.
std::vector<float> scores_of(std::int64_t entries) {
  const test::Sequence sequence(std::vector<float>(static_cast<std::size_t>(entries), 1.0F), 1);
  const auto units = test::make<Clustering>("page", {{"page_tokens", std::int64_t{1}}},
                                            {.head_dim = 1, .head = {}, .root_seed = 1});
  const auto scorer = test::make<Scorer>(
      "spread", {}, {.head_dim = 1, .group = 2, .attention_scale = 1.0, .head = {}, .root_seed = 1});
  ChangeList changes;
  Work work;
  units->build(sequence.view(entries), changes, work);
  scorer->update(changes, *units, sequence.view(entries), work);
  const std::vector<float> queries(2, 1.0F);
  std::vector<float> scores(static_cast<std::size_t>(2 * entries));
  scorer->score(matrix_view(queries.data(), 2, 1), *units, sequence.view(entries),
                matrix_ref(scores.data(), 2, entries), work);
  CHECK(scorer->dram_bytes() == 0);
  CHECK(std::equal(scores.begin(), scores.begin() + entries, scores.begin() + entries));
  scores.resize(static_cast<std::size_t>(entries));
  return scores;
}

TEST_CASE("spread: a unit ranks by the golden turn of its number") {
  // 1 - frac(n / phi): 1, 1 - 0.618, 1 - 0.236, 1 - 0.854, 1 - 0.472
  const std::vector<float> scores = scores_of(5);
  const std::vector<double> expected{1.0, 0.381966, 0.763932, 0.145898, 0.527864};
  for (std::size_t unit = 0; unit < expected.size(); ++unit) {
    CHECK(scores[unit] == doctest::Approx(expected[unit]).epsilon(1e-5));
  }
}

TEST_CASE("spread: any number of the best lie in gaps of at most three lengths") {
  constexpr std::int64_t kEntries = 377;
  const std::vector<float> scores = scores_of(kEntries);
  std::vector<std::int64_t> ranked(scores.size());
  std::iota(ranked.begin(), ranked.end(), 0);
  std::ranges::stable_sort(ranked, std::ranges::greater{},
                           [&](std::int64_t unit) { return scores[static_cast<std::size_t>(unit)]; });
  for (std::size_t taken = 2; taken < ranked.size(); ++taken) {
    std::vector<std::int64_t> best(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(taken));
    std::ranges::sort(best);
    std::set<std::int64_t> gaps;
    for (std::size_t i = 1; i < best.size(); ++i) {
      gaps.insert(best[i] - best[i - 1]);
    }
    CAPTURE(taken);
    CHECK(gaps.size() <= 3);
  }
}

TEST_CASE("spread: units that come later leave the order of those before them") {
  const std::vector<float> few = scores_of(100);
  const std::vector<float> many = scores_of(200);
  CHECK(std::equal(few.begin(), few.end(), many.begin()));
}

}  // namespace
}  // namespace kvr
