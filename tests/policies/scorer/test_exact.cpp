#include <doctest/doctest.h>

#include <cmath>

#include "sim/interfaces/scorer.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

using test::Sequence;

constexpr std::int64_t kGroup = 3;
constexpr double kScale = 0.35;

std::unique_ptr<Scorer> make(const std::string& reduce, std::int64_t head_dim) {
  return test::make<Scorer>(
      "exact", {{"reduce", reduce}},
      {.head_dim = head_dim, .group = kGroup, .attention_scale = kScale, .head = {}, .root_seed = 1});
}

/// By a double loop over the members.
double worth(std::span<const float> query, std::span<const EntryIndex> members, const Sequence& sequence,
             bool mass) {
  double sum = 0.0;
  double largest = -1e300;
  for (const EntryIndex entry : members) {
    const double logit = kScale * test::plain_dot(query, sequence.key(entry));
    sum += std::exp(logit);
    largest = std::max(largest, logit);
  }
  return mass ? std::log(sum) : largest;
}

TEST_CASE("exact: two equal logits of 0.35 make a mass of 0.35 + log 2, and a maximum of 0.35") {
  const Sequence sequence({1, 1}, 1);
  const auto clustering = test::make<Clustering>("page", {}, {.head_dim = 1, .head = {}, .root_seed = 1});
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(2), changes, work);
  const float query = 1.0F;
  for (const bool mass : {true, false}) {
    float score = 0.0F;
    make(mass ? "mass" : "max", 1)
        ->score(matrix_view(&query, 1, 1), *clustering, sequence.view(2), matrix_ref(&score, 1, 1), work);
    CHECK(static_cast<double>(score) == doctest::Approx(mass ? kScale + std::log(2.0) : kScale));
  }
}

TEST_CASE("exact: scores are those of a double loop, for any units") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const Sequence sequence = Sequence::random(61, 16, rng);
    const Sequence queries = Sequence::random(kGroup, 16, rng);
    test::RandomClustering clustering(rng, 20);
    ChangeList changes;
    Work work;
    clustering.build(sequence.view(60), changes, work);
    for (const bool mass : {true, false}) {
      const auto scorer = make(mass ? "mass" : "max", 16);
      scorer->update(changes, clustering, sequence.view(60), work);
      std::vector<float> scores(static_cast<std::size_t>(kGroup * clustering.unit_count()));
      const auto table = matrix_ref(scores.data(), kGroup, clustering.unit_count());
      scorer->score(matrix_view(queries.key(0).data(), kGroup, 16), clustering, sequence.view(61), table,
                    work);
      for (std::int64_t query = 0; query < kGroup; ++query) {
        for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
          const double expected = worth(queries.key(query), clustering.members(unit), sequence, mass);
          const float score = table.row(query)[static_cast<std::size_t>(unit)];
          CHECK(static_cast<double>(score) == doctest::Approx(expected).epsilon(1e-5));
        }
      }
    }
  }
}

TEST_CASE("exact: reads every key once for the whole group and keeps them all") {
  Rng rng(3);
  const Sequence sequence = Sequence::random(10, 8, rng);
  const Sequence queries = Sequence::random(kGroup, 8, rng);
  const auto clustering = test::make<Clustering>("token", {}, {.head_dim = 8, .head = {}, .root_seed = 1});
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(10), changes, work);
  const auto scorer = make("mass", 8);
  scorer->update(changes, *clustering, sequence.view(10), work);
  CHECK(work.flops == 0.0);
  std::vector<float> scores(static_cast<std::size_t>(kGroup * 10));
  scorer->score(matrix_view(queries.key(0).data(), kGroup, 8), *clustering, sequence.view(10),
                matrix_ref(scores.data(), kGroup, 10), work);
  CHECK(work.flops == 3.0 * 10.0 * (2.0 * 8.0 + 2.0));
  CHECK(work.bytes == 10.0 * 8.0 * 2.0);
  CHECK(scorer->dram_bytes() == 10 * 8 * 2);
}

}  // namespace
}  // namespace kvr
