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
