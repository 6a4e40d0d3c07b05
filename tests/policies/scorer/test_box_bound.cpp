#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/interfaces/scorer.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

using test::Sequence;

std::unique_ptr<Scorer> make(std::int64_t head_dim, std::int64_t group, double scale) {
  return test::make<Scorer>(
      "box_bound", {},
      {.head_dim = head_dim, .group = group, .attention_scale = scale, .head = {}, .root_seed = 1});
}

std::vector<float> scores_of(Scorer& scorer, const Sequence& queries, std::int64_t group,
                             const Clustering& clustering, const HeadView& view) {
  std::vector<float> scores(static_cast<std::size_t>(group * clustering.unit_count()));
  Work work;
  scorer.score(matrix_view(queries.key(0).data(), group, queries.head_dim()), clustering, view,
               matrix_ref(scores.data(), group, clustering.unit_count()), work);
  return scores;
}

TEST_CASE("box_bound: keys (1, -2) and (3, 1) and the query (2, -1) bound a logit of 2 * 3 + 1 * 2") {
  const Sequence sequence({1, -2, 3, 1, 5, 0}, 2);
  const Sequence query({2, -1}, 2);
  const auto pages = test::make<Clustering>("page", {{"page_tokens", std::int64_t{3}}},
                                            {.head_dim = 2, .head = {}, .root_seed = 1});
  const auto scorer = make(2, 1, 0.5);
  ChangeList changes;
  Work work;
  pages->build(sequence.view(2), changes, work);
  scorer->update(changes, *pages, sequence.view(2), work);
  CHECK(scores_of(*scorer, query, 1, *pages, sequence.view(2)) == std::vector<float>{4.0F});

  changes.clear();
  pages->append(2, sequence.view(3), test::NothingResident{}, changes, work);
  scorer->update(changes, *pages, sequence.view(3), work);
  CHECK(scores_of(*scorer, query, 1, *pages, sequence.view(3)) == std::vector<float>{6.0F});

  changes.clear();
  const EntryIndex first = 0;
  pages->remove({&first, 1}, sequence.view(3), changes, work);
  scorer->update(changes, *pages, sequence.view(3), work);
  CHECK(scores_of(*scorer, query, 1, *pages, sequence.view(3)) == std::vector<float>{5.0F});
}

/// scale * sum over the channels of the larger product with the least and the largest key, from nothing.
double plain_bound(std::span<const float> query, std::span<const EntryIndex> members,
                   const Sequence& sequence, double scale) {
  double sum = 0.0;
  for (std::size_t channel = 0; channel < query.size(); ++channel) {
    double most = -std::numeric_limits<double>::infinity();
    for (const EntryIndex member : members) {
      most = std::max(
          most, static_cast<double>(query[channel]) * static_cast<double>(sequence.key(member)[channel]));
    }
    sum += most;
  }
  return scale * sum;
}

TEST_CASE(
    "box_bound: no member's logit is above the bound, which is that of the members alone after removals") {
  constexpr double kScale = 0.25;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const Sequence sequence = Sequence::random(200, 8, rng);
    const Sequence queries = Sequence::random(2, 8, rng);
    test::RandomClustering clustering(rng, 20);
    const auto scorer = make(8, 2, kScale);
    Work work;
    ChangeList changes;
    clustering.build(sequence.view(20), changes, work);
    scorer->update(changes, clustering, sequence.view(20), work);
    for (EntryIndex entry = 20; entry < 200; ++entry) {
      const HeadView view = sequence.view(entry + 1);
      changes.clear();
      clustering.append(entry, view, test::NothingResident{}, changes, work);
      scorer->update(changes, clustering, view, work);
      changes.clear();
      clustering.remove(test::to_remove(clustering, rng), view, changes, work);
      scorer->update(changes, clustering, view, work);
      const auto scores = scores_of(*scorer, queries, 2, clustering, view);
      for (std::int64_t query = 0; query < 2; ++query) {
        for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
          const auto members = clustering.members(unit);
          const double score = scores[static_cast<std::size_t>(query * clustering.unit_count() + unit)];
          if (!members.empty()) {
            REQUIRE(std::abs(score - plain_bound(queries.key(query), members, sequence, kScale)) < 1e-4);
          }
          for (const EntryIndex member : members) {
            const double logit = kScale * test::plain_dot(queries.key(query), sequence.key(member));
            REQUIRE(score >= logit - 1e-5);
            REQUIRE((members.size() > 1 || score <= logit + 1e-5));
          }
        }
      }
    }
  }
}

TEST_CASE("box_bound: bit by bit TinyServe's relevance, the sum of q M where q >= 0 and of q m elsewhere") {
  constexpr std::int64_t kDim = 24;
  constexpr std::int64_t kEntries = 70;
  constexpr std::int64_t kPage = 16;
  Rng rng(31);
  const Sequence sequence = Sequence::random(kEntries, kDim, rng);
  const Sequence queries = Sequence::random(5, kDim, rng);
  const auto pages = test::make<Clustering>("page", {{"page_tokens", kPage}},
                                            {.head_dim = kDim, .head = {}, .root_seed = 1});
  const auto scorer = make(kDim, 5, 0.125);
  ChangeList changes;
  Work work;
  pages->build(sequence.view(kEntries), changes, work);
  scorer->update(changes, *pages, sequence.view(kEntries), work);
  const auto scores = scores_of(*scorer, queries, 5, *pages, sequence.view(kEntries));
  for (std::int64_t query = 0; query < 5; ++query) {
    for (UnitId page = 0; page < pages->unit_count(); ++page) {
      float sum = 0.0F;
      for (std::size_t channel = 0; channel < kDim; ++channel) {
        float least = std::numeric_limits<float>::infinity();
        float largest = -least;
        for (std::int64_t entry = page * kPage; entry < std::min((page + 1) * kPage, kEntries); ++entry) {
          least = std::min(least, sequence.key(entry)[channel]);
          largest = std::max(largest, sequence.key(entry)[channel]);
        }
        const float q = queries.key(query)[channel];
        sum += q >= 0.0F ? q * largest : q * least;
      }
      CHECK(scores[static_cast<std::size_t>(query * pages->unit_count() + page)] == 0.125F * sum);
    }
  }
}

}  // namespace
}  // namespace kvr
