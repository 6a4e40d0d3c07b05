#include <doctest/doctest.h>

#include <cmath>

#include "sim/interfaces/scorer.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

using test::Sequence;

std::unique_ptr<Scorer> make(std::int64_t head_dim, std::int64_t group, double scale) {
  return test::make<Scorer>(
      "centroid", {},
      {.head_dim = head_dim, .group = group, .attention_scale = scale, .head = {}, .root_seed = 1});
}

std::vector<float> scores_of(Scorer& scorer, const Sequence& queries, std::int64_t group,
                             const Clustering& clustering, const HeadView& view, Work& work) {
  std::vector<float> scores(static_cast<std::size_t>(group * clustering.unit_count()));
  scorer.score(matrix_view(queries.key(0).data(), group, queries.head_dim()), clustering, view,
               matrix_ref(scores.data(), group, clustering.unit_count()), work);
  return scores;
}

/// scale * q . mean of the member keys, recomputed from nothing.
double plain_score(std::span<const float> query, std::span<const EntryIndex> members,
                   const Sequence& sequence, double scale) {
  double sum = 0.0;
  for (const EntryIndex entry : members) {
    sum += test::plain_dot(query, sequence.key(entry));
  }
  return scale * sum / static_cast<double>(members.size());
}

TEST_CASE("centroid: keys 1 and 3 make a mean of 2, a third key 8 makes it 4") {
  const Sequence sequence({1, 3, 8}, 1);
  const Sequence query({10}, 1);
  const auto clustering = test::make<Clustering>("page", {}, {.head_dim = 1, .head = {}, .root_seed = 1});
  const auto scorer = make(1, 1, 0.5);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(2), changes, work);
  scorer->update(changes, *clustering, sequence.view(2), work);
  CHECK(scores_of(*scorer, query, 1, *clustering, sequence.view(2), work) == std::vector<float>{10.0F});

  changes.clear();
  clustering->append(2, sequence.view(3), test::NothingResident{}, changes, work);
  scorer->update(changes, *clustering, sequence.view(3), work);
  CHECK(scores_of(*scorer, query, 1, *clustering, sequence.view(3), work) == std::vector<float>{20.0F});
}

TEST_CASE("centroid: the running means are those of the members, after any changes and removals") {
  constexpr double kScale = 0.25;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const bool evicts = seed > 10;
    const Sequence sequence = Sequence::random(300, 8, rng);
    const Sequence queries = Sequence::random(2, 8, rng);
    test::RandomClustering clustering(rng, 20);
    const auto scorer = make(8, 2, kScale);
    Work work;
    ChangeList changes;
    clustering.build(sequence.view(20), changes, work);
    scorer->update(changes, clustering, sequence.view(20), work);
    for (EntryIndex entry = 20; entry < 300; ++entry) {
      const HeadView view = sequence.view(entry + 1);
      changes.clear();
      clustering.append(entry, view, test::NothingResident{}, changes, work);
      scorer->update(changes, clustering, view, work);
      if (evicts) {
        changes.clear();
        clustering.remove(test::to_remove(clustering, rng), view, changes, work);
        scorer->update(changes, clustering, view, work);
      }
      const auto scores = scores_of(*scorer, queries, 2, clustering, view, work);
      for (std::size_t i = 0; i < scores.size(); ++i) {
        const auto units = static_cast<std::size_t>(clustering.unit_count());
        const auto members = clustering.members(static_cast<UnitId>(i % units));
        const auto query = queries.key(static_cast<std::int64_t>(i / units));
        if (!members.empty()) {
          const double expected = plain_score(query, members, sequence, kScale);
          REQUIRE(std::abs(static_cast<double>(scores[i]) - expected) < 1e-4);
        }
      }
    }
  }
}

TEST_CASE("centroid: one key of each unit, and the score is the true logit") {
  Rng rng(4);
  const Sequence sequence = Sequence::random(12, 8, rng);
  const Sequence query = Sequence::random(1, 8, rng);
  const auto clustering = test::make<Clustering>("token", {}, {.head_dim = 8, .head = {}, .root_seed = 1});
  const auto scorer = make(8, 1, 1.0);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(12), changes, work);
  scorer->update(changes, *clustering, sequence.view(12), work);
  const auto scores = scores_of(*scorer, query, 1, *clustering, sequence.view(12), work);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const double logit = test::plain_dot(query.key(0), sequence.key(static_cast<std::int64_t>(i)));
    CHECK(static_cast<double>(scores[i]) == doctest::Approx(logit).epsilon(1e-5));
  }
}

std::unique_ptr<Scorer> make_estimating(std::int64_t head_dim, std::int64_t group, double scale) {
  return test::make<Scorer>("centroid", {},
                            {.head_dim = head_dim,
                             .group = group,
                             .attention_scale = scale,
                             .head = {},
                             .root_seed = 1,
                             .heads = 1,
                             .estimates = true});
}

struct Estimate {
  std::vector<float> out;
  std::vector<PartialSoftmax> normalisers;

  double log_sum(std::size_t query) const {
    return static_cast<double>(normalisers[query].max_logit) + std::log(normalisers[query].sum);
  }
};

Estimate estimate_of(Scorer& scorer, const Sequence& queries, std::int64_t group,
                     std::span<const SketchedUnit> units, Work& work) {
  Estimate estimate{std::vector<float>(static_cast<std::size_t>(group * queries.head_dim())),
                    std::vector<PartialSoftmax>(static_cast<std::size_t>(group))};
  scorer.estimate(matrix_view(queries.key(0).data(), group, queries.head_dim()), units,
                  matrix_ref(estimate.out.data(), group, queries.head_dim()), estimate.normalisers, work);
  return estimate;
}

TEST_CASE("centroid: keys 1 and 3 stand for two entries of weight e^2, 4 and 4 for one of weight e^4") {
  const Sequence sequence({1, 3, 4, 4}, 1);  // values are the keys
  const Sequence query({1}, 1);
  const auto clustering = test::make<Clustering>("page", {{"page_tokens", std::int64_t{2}}},
                                                 {.head_dim = 1, .head = {}, .root_seed = 1});
  const auto scorer = make_estimating(1, 1, 1.0);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(4), changes, work);
  scorer->update(changes, *clustering, sequence.view(4), work);
  CHECK(scorer->dram_bytes() == 2 * (2 * 1 * 2 + 4));
  work = {};
  const std::vector<SketchedUnit> units = {{0, 2}, {1, 1}};
  const Estimate estimate = estimate_of(*scorer, query, 1, units, work);
  const double first = 2.0 * std::exp(2.0);
  const double second = std::exp(4.0);
  CHECK(estimate.log_sum(0) == doctest::Approx(std::log(first + second)).epsilon(1e-6));
  CHECK(static_cast<double>(estimate.out[0]) ==
        doctest::Approx((first * 2.0 + second * 4.0) / (first + second)).epsilon(1e-6));
  CHECK(work.flops == 2.0 * 2.0);
  CHECK(work.bytes == 2.0 * (2.0 + 4.0));
}

TEST_CASE(
    "centroid: an estimate is that of the units' mean keys and values, after any changes and removals") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const Sequence sequence = Sequence::random(120, 8, rng);
    const Sequence queries = Sequence::random(2, 8, rng);
    test::RandomClustering clustering(rng, 20);
    const auto scorer = make_estimating(8, 2, 0.5);
    Work work;
    ChangeList changes;
    clustering.build(sequence.view(20), changes, work);
    scorer->update(changes, clustering, sequence.view(20), work);
    for (EntryIndex entry = 20; entry < 120; ++entry) {
      const HeadView view = sequence.view(entry + 1);
      changes.clear();
      clustering.append(entry, view, test::NothingResident{}, changes, work);
      scorer->update(changes, clustering, view, work);
      changes.clear();
      clustering.remove(test::to_remove(clustering, rng), view, changes, work);
      scorer->update(changes, clustering, view, work);
      std::vector<SketchedUnit> units;
      for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
        if (!clustering.members(unit).empty()) {
          units.push_back({unit, static_cast<std::int32_t>(1 + rng.below(clustering.members(unit).size()))});
        }
      }
      if (units.empty()) {
        continue;
      }
      const Estimate estimate = estimate_of(*scorer, queries, 2, units, work);
      for (std::int64_t query = 0; query < 2; ++query) {
        double sum = 0.0;
        double value = 0.0;  // of the first channel
        double all_members = 0.0;
        double all_estimated = 0.0;
        for (const SketchedUnit& one : units) {
          const auto members = clustering.members(one.unit);
          double mean = 0.0;
          for (const EntryIndex member : members) {
            mean += static_cast<double>(sequence.key(member)[0]) / static_cast<double>(members.size());
            all_members += std::exp(0.5 * test::plain_dot(queries.key(query), sequence.key(member)));
          }
          const double weight = std::exp(plain_score(queries.key(query), members, sequence, 0.5));
          sum += one.entries * weight;
          value += one.entries * weight * mean;
          all_estimated += static_cast<double>(members.size()) * weight;
        }
        const auto q = static_cast<std::size_t>(query);
        REQUIRE(std::abs(estimate.log_sum(q) - std::log(sum)) < 1e-4);
        REQUIRE(std::abs(static_cast<double>(estimate.out[q * 8]) - value / sum) < 1e-4);
        REQUIRE(all_estimated <= all_members * (1.0 + 1e-9));  // Jensen
      }
    }
  }
}

TEST_CASE("centroid: where a unit's keys are one key the estimate is the attention over its entries") {
  Rng rng(9);
  const Sequence one = Sequence::random(1, 8, rng);
  std::vector<float> rows;
  for (int copy = 0; copy < 5; ++copy) {
    rows.insert(rows.end(), one.key(0).begin(), one.key(0).end());
  }
  const Sequence sequence(rows, 8);
  const Sequence query = Sequence::random(1, 8, rng);
  const auto clustering = test::make<Clustering>("page", {{"page_tokens", std::int64_t{8}}},
                                                 {.head_dim = 8, .head = {}, .root_seed = 1});
  const auto scorer = make_estimating(8, 1, 1.0);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(5), changes, work);
  scorer->update(changes, *clustering, sequence.view(5), work);
  const std::vector<SketchedUnit> units = {{0, 5}};
  const Estimate estimate = estimate_of(*scorer, query, 1, units, work);
  const double logit = test::plain_dot(query.key(0), one.key(0));
  CHECK(estimate.log_sum(0) == doctest::Approx(logit + std::log(5.0)).epsilon(1e-6));
  for (std::size_t d = 0; d < 8; ++d) {
    CHECK(estimate.out[d] == doctest::Approx(one.key(0)[d]).epsilon(1e-6));
  }
}

struct EmptyUnit final : Clustering {
  void build(const HeadView&, const EntrySet&, ChangeList&, Work&) override {}
  void append(EntryIndex, const HeadView&, const ResidentUnits&, ChangeList&, Work&) override {}
  std::int64_t unit_count() const override { return 1; }
  std::span<const EntryIndex> members(UnitId) const override { return {}; }
  std::int64_t dram_bytes() const override { return 0; }
};

TEST_CASE("centroid: a unit without members is refused rather than given a score") {
  const Sequence sequence({1, 2}, 1);
  const std::vector<Change> changes = {{.kind = ChangeKind::created, .unit = 0}};
  Work work;
  CHECK_THROWS_AS(make(1, 1, 1.0)->update(changes, EmptyUnit{}, sequence.view(2), work), InternalError);
}

TEST_CASE("centroid: scoring costs one product for each query, unit and channel; means are kept in fp16") {
  Rng rng(5);
  const Sequence sequence = Sequence::random(33, 8, rng);
  const Sequence queries = Sequence::random(2, 8, rng);
  const auto clustering = test::make<Clustering>("page", {}, {.head_dim = 8, .head = {}, .root_seed = 1});
  const auto scorer = make(8, 2, 1.0);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(33), changes, work);
  scorer->update(changes, *clustering, sequence.view(33), work);
  CHECK(work.flops == 33.0 * 3.0 * 8.0);
  work = {};
  scores_of(*scorer, queries, 2, *clustering, sequence.view(33), work);
  CHECK(work.flops == 2.0 * 2.0 * 3.0 * 8.0);
  CHECK(work.bytes == 3.0 * 8.0 * 2.0);
  CHECK(scorer->dram_bytes() == 3 * (8 * 2 + 4));
}

}  // namespace
}  // namespace kvr
