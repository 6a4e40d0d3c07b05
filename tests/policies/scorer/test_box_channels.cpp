// Boxes in a few channels: cases by hand, what they share with Quest's bound, and a plain reference.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "sim/interfaces/scorer.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

using test::Sequence;

std::unique_ptr<Scorer> make(std::string_view name, const ParamValues& params, std::int64_t head_dim,
                             std::int64_t group) {
  return test::make<Scorer>(
      name, params,
      {.head_dim = head_dim, .group = group, .attention_scale = 0.5, .head = {}, .root_seed = 1});
}

std::vector<float> scores_of(Scorer& scorer, const Sequence& queries, std::int64_t group,
                             const Clustering& clustering, const HeadView& view, Work& work) {
  std::vector<float> scores(static_cast<std::size_t>(group * clustering.unit_count()));
  scorer.score(matrix_view(queries.key(0).data(), group, queries.head_dim()), clustering, view,
               matrix_ref(scores.data(), group, clustering.unit_count()), work);
  return scores;
}

TEST_CASE("box_channels: two query heads choose two of four channels together, and the ends of the box") {
  // Magnitudes 5, 4, 3, 8 and sums 3, -4, 1, 8: the largest end of the fourth channel, the largest of the
  // first.
  const Sequence queries({4, -3, 2, 3, -1, -1, -1, 5}, 4);
  const Sequence keys({1, 9, 9, 2, -3, 9, 9, 4}, 4);
  const auto pages = test::make<Clustering>("page", {{"page_tokens", std::int64_t{2}}},
                                            {.head_dim = 4, .head = {}, .root_seed = 1});
  const auto scorer = make("box_channels", {{"share", 0.5}}, 4, 2);
  ChangeList changes;
  Work work;
  pages->build(keys.view(2), changes, work);
  scorer->update(changes, *pages, keys.view(2), work);
  work = {};
  const std::vector<float> scores = scores_of(*scorer, queries, 2, *pages, keys.view(2), work);
  // (4, 3) and (-1, 5) times (1, 4), and 12 of 7, 8 of 6 of the magnitudes.
  CHECK(scores[0] == doctest::Approx(0.5 * std::sqrt(12.0 / 7.0) * 16.0));
  CHECK(scores[1] == doctest::Approx(0.5 * std::sqrt(8.0 / 6.0) * 19.0));
  CHECK(scorer->dram_bytes() == 4 * 2 * 2);
  CHECK(work.flops == 2 * (2.0 * 1 * 2 + 3.0 * 4));
  CHECK(work.bytes == 2.0 * 1 * 2);
}

TEST_CASE("box_channels: a sum of 0 asks for the least end, and queries of 0 are worth 0 everywhere") {
  const Sequence keys({1, 2, 3, 4}, 2);
  const auto pages = test::make<Clustering>("page", {{"page_tokens", std::int64_t{2}}},
                                            {.head_dim = 2, .head = {}, .root_seed = 1});
  const auto scorer = make("box_channels", {{"share", 0.5}}, 2, 2);
  ChangeList changes;
  Work work;
  pages->build(keys.view(2), changes, work);
  scorer->update(changes, *pages, keys.view(2), work);
  CHECK(scores_of(*scorer, Sequence({2, 0, -2, 0}, 2), 2, *pages, keys.view(2), work) ==
        std::vector<float>{1.0F, -1.0F});
  CHECK(scores_of(*scorer, Sequence({0, 0, 0, 0}, 2), 2, *pages, keys.view(2), work) ==
        std::vector<float>{0.0F, 0.0F});
}

TEST_CASE("box_channels: all channels for one query head are Quest's bound") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const Sequence keys = Sequence::random(100, 8, rng);
    const Sequence query = Sequence::random(1, 8, rng);
    const auto pages = test::make<Clustering>("page", {{"page_tokens", std::int64_t{7}}},
                                              {.head_dim = 8, .head = {}, .root_seed = 1});
    ChangeList changes;
    Work work;
    pages->build(keys.view(100), changes, work);
    std::vector<std::vector<float>> scores;
    for (const char* name : {"box_channels", "box_bound"}) {
      const auto scorer =
          make(name, std::string(name) == "box_bound" ? ParamValues{} : ParamValues{{"share", 1.0}}, 8, 1);
      scorer->update(changes, *pages, keys.view(100), work);
      scores.push_back(scores_of(*scorer, query, 1, *pages, keys.view(100), work));
    }
    for (std::size_t unit = 0; unit < scores[0].size(); ++unit) {
      CHECK(scores[0][unit] == doctest::Approx(scores[1][unit]).epsilon(1e-5));
    }
  }
}

/// The code's formulas in double precision, for one unit.
double reference(const Sequence& keys, std::span<const EntryIndex> members, const Sequence& queries,
                 std::int64_t group, std::int64_t query, std::size_t channels) {
  const auto d = static_cast<std::size_t>(keys.head_dim());
  const auto element = [&](std::int64_t q, std::size_t channel) {
    return static_cast<double>(queries.key(q)[channel]);
  };
  std::vector<double> magnitude(d, 0.0);
  std::vector<double> sum(d, 0.0);
  for (std::int64_t q = 0; q < group; ++q) {
    for (std::size_t channel = 0; channel < d; ++channel) {
      magnitude[channel] += std::abs(element(q, channel));
      sum[channel] += element(q, channel);
    }
  }
  std::vector<std::size_t> order(d);
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) { return magnitude[a] > magnitude[b]; });
  double all = 0.0;
  for (std::size_t channel = 0; channel < d; ++channel) {
    all += std::abs(element(query, channel));
  }
  double asked = 0.0;
  double product = 0.0;
  for (std::size_t i = 0; i < channels; ++i) {
    const std::size_t channel = order[i];
    double least = std::numeric_limits<double>::infinity();
    double largest = -least;
    for (const EntryIndex member : members) {
      least = std::min(least, static_cast<double>(keys.key(member)[channel]));
      largest = std::max(largest, static_cast<double>(keys.key(member)[channel]));
    }
    asked += std::abs(element(query, channel));
    product += element(query, channel) * (sum[channel] > 0.0 ? largest : least);
  }
  return 0.5 * product * std::sqrt(all / asked);
}

TEST_CASE("box_channels: follows any changes, with the scores of a plain reference over the members alone") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const Sequence keys = Sequence::random(150, 8, rng);
    const Sequence queries = Sequence::random(3, 8, rng);
    test::RandomClustering clustering(rng, 20);
    const auto scorer = make("box_channels", {{"share", 0.4}}, 8, 3);
    Work work;
    ChangeList changes;
    clustering.build(keys.view(20), EntrySet::first(20), changes, work);
    scorer->update(changes, clustering, keys.view(20), work);
    for (EntryIndex entry = 20; entry < 150; ++entry) {
      const HeadView view = keys.view(entry + 1);
      changes.clear();
      clustering.append(entry, view, test::NothingResident{}, changes, work);
      scorer->update(changes, clustering, view, work);
      changes.clear();
      clustering.remove(test::to_remove(clustering, rng), view, changes, work);
      scorer->update(changes, clustering, view, work);
    }
    const std::vector<float> scores = scores_of(*scorer, queries, 3, clustering, keys.view(150), work);
    for (std::int64_t query = 0; query < 3; ++query) {
      for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
        if (!clustering.members(unit).empty()) {
          CHECK(
              scores[static_cast<std::size_t>(query * clustering.unit_count() + unit)] ==
              doctest::Approx(reference(keys, clustering.members(unit), queries, 3, query, 3)).epsilon(1e-4));
        }
      }
    }
  }
}

}  // namespace
}  // namespace kvr
