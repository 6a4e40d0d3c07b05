#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "sim/interfaces/scorer.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

using test::Sequence;

constexpr std::int64_t kGroup = 2;
constexpr std::int64_t kPage = 4;

/// A scorer over pages of 4 keys.
class Guess {
 public:
  Guess(const Sequence& keys, std::int64_t entries, const char* scorer, const ParamValues& values,
        std::int64_t head = 0)
      : view_(keys.view(entries)),
        pages_(test::make<Clustering>("page", {{"page_tokens", kPage}},
                                      {.head_dim = keys.head_dim(), .head = {}, .root_seed = 1})),
        scorer_(test::make<Scorer>(scorer, values,
                                   {.head_dim = keys.head_dim(),
                                    .group = kGroup,
                                    .attention_scale = 0.5,
                                    .head = {.layer = 0, .head = head},
                                    .root_seed = 1})) {
    ChangeList changes;
    Work ignored;
    pages_->build(view_, changes, ignored);
    scorer_->update(changes, *pages_, view_, work);
  }

  /// [kGroup, units].
  std::vector<float> scores(const Sequence& queries) {
    const std::int64_t units = pages_->unit_count();
    std::vector<float> scores(static_cast<std::size_t>(kGroup * units));
    scorer_->score(matrix_view(queries.key(0).data(), kGroup, queries.head_dim()), *pages_, view_,
                   matrix_ref(scores.data(), kGroup, units), work);
    return scores;
  }
  std::int64_t dram_bytes() const { return scorer_->dram_bytes(); }

  Work work;

 private:
  HeadView view_;
  std::unique_ptr<Clustering> pages_;
  std::unique_ptr<Scorer> scorer_;
};

TEST_CASE("box_guess: three pages with bounds 3, -1 and 2, all missed, score -1 * 2 - bound - 1") {
  // One channel; queries 2 and 1, of which the second has bounds of half of the first's.
  const Sequence keys({3, 1, 0, 2, -1, -4, -3, -2, 2, 2, 1, 0}, 1);
  const Sequence queries({2, 1}, 1);
  CHECK(Guess(keys, 12, "box_guess", {{"accuracy", 1.0}}).scores(queries) ==
        std::vector<float>{3, -1, 2, 1.5F, -0.5F, 1});
  CHECK(Guess(keys, 12, "box_guess", {{"accuracy", 0.0}}).scores(queries) ==
        std::vector<float>{-6, -2, -5, -3.5F, -1.5F, -3});
}

struct Random {
  explicit Random(std::uint64_t seed) : rng(seed) {}

  Rng rng;
  Sequence keys = Sequence::random(kPage * 200, 8, rng);
  Sequence queries = Sequence::random(kGroup, 8, rng);
};

/// Of each unit whether it scores other than box_bound says, for the first query; the second agrees.
std::vector<bool> missed(const Random& random, double accuracy, int calls, std::int64_t head = 0) {
  const auto right = Guess(random.keys, kPage * 200, "box_bound", {}).scores(random.queries);
  Guess guess(random.keys, kPage * 200, "box_guess", {{"accuracy", accuracy}}, head);
  std::vector<bool> all;
  for (int call = 0; call < calls; ++call) {
    const auto scores = guess.scores(random.queries);
    const std::size_t units = scores.size() / kGroup;
    for (std::size_t unit = 0; unit < units; ++unit) {
      all.push_back(scores[unit] != right[unit]);
      CHECK(all.back() == (scores[units + unit] != right[units + unit]));
      CHECK((!all.back() || scores[unit] < *std::ranges::min_element(right.begin(), right.begin() + 200)));
    }
  }
  return all;
}

TEST_CASE("box_guess: as many units are missed as the accuracy says, below all others, whoever asks") {
  const Random random(5);
  constexpr int kCalls = 20;
  for (const double accuracy : {0.0, 0.25, 0.5, 0.95, 1.0}) {
    CAPTURE(accuracy);
    const auto all = missed(random, accuracy, kCalls);
    const auto draws = static_cast<double>(all.size());
    const double expected = (1.0 - accuracy) * draws;
    CHECK(std::abs(static_cast<double>(std::ranges::count(all, true)) - expected) <=
          4.0 * std::sqrt(expected * accuracy));
  }
}

TEST_CASE("box_guess: what is missed at a higher accuracy is at a lower; heads and calls draw anew") {
  const Random random(6);
  const auto low = missed(random, 0.3, 2);
  const auto high = missed(random, 0.7, 2);
  for (std::size_t i = 0; i < low.size(); ++i) {
    CHECK_UNARY(low[i] || !high[i]);
  }
  CHECK(low == missed(random, 0.3, 2));
  CHECK(low != missed(random, 0.3, 2, 1));
  CHECK_FALSE(std::equal(low.begin(), low.begin() + 200, low.begin() + 200));
}

TEST_CASE("box_guess: it stands for a predictor that takes nothing") {
  const Random random(7);
  Guess guess(random.keys, kPage * 200, "box_guess", {});
  guess.scores(random.queries);
  CHECK(guess.work.flops + guess.work.bytes == 0.0);
  CHECK(guess.dram_bytes() == 0);
}

}  // namespace
}  // namespace kvr
