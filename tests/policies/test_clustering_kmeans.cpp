#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "tests/policies/support.hpp"

namespace kvr {
namespace {

using test::Sequence;

std::unique_ptr<Clustering> make(const ParamValues& values, std::int64_t head_dim, std::uint64_t seed = 1) {
  return test::make<Clustering>("kmeans", values,
                                {.head_dim = head_dim, .head = {.layer = 2, .head = 1}, .root_seed = seed});
}

std::vector<std::vector<EntryIndex>> units_of(const Clustering& clustering) {
  std::vector<std::vector<EntryIndex>> units;
  for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
    units.push_back(test::copy(clustering.members(unit)));
  }
  return units;
}

/// Plain means of the members, which is what the centroids are right after the prompt.
std::vector<std::vector<double>> means_of(const Clustering& clustering, const Sequence& sequence) {
  std::vector<std::vector<double>> means;
  for (const std::vector<EntryIndex>& unit : units_of(clustering)) {
    std::vector<double> mean(static_cast<std::size_t>(sequence.head_dim()), 0.0);
    for (const EntryIndex entry : unit) {
      for (std::size_t i = 0; i < mean.size(); ++i) {
        mean[i] += static_cast<double>(sequence.key(entry)[i]) / static_cast<double>(unit.size());
      }
    }
    means.push_back(mean);
  }
  return means;
}

/// Smaller is nearer.
double distance(std::span<const float> key, const std::vector<double>& mean, bool cosine) {
  double squared = 0.0;
  double product = 0.0;
  double norm = 0.0;
  for (std::size_t i = 0; i < mean.size(); ++i) {
    const auto k = static_cast<double>(key[i]);
    squared += (k - mean[i]) * (k - mean[i]);
    product += k * mean[i];
    norm += mean[i] * mean[i];
  }
  return cosine ? -product / std::sqrt(norm) : squared;
}

TEST_CASE("kmeans: two heaps on a line are found, and new keys join the nearer one, whose centroid stays") {
  // The heaps' means are 1 and 11, so the border is at 6. With moving centroids it would be at about 7.1
  // after the keys 5 and 5.9 have joined the left heap, and the key 6.2 would go left.
  const Sequence sequence({0, 2, 10, 12, 5, 5.9F, 6.2F}, 1);
  const auto clustering = make({{"clusters", std::int64_t{2}}}, 1);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(4), changes, work);
  REQUIRE(clustering->unit_count() == 2);
  REQUIRE(changes.size() == 2);
  const UnitId left = clustering->members(0).front() == 0 ? 0 : 1;
  CHECK(test::copy(clustering->members(left)) == std::vector<EntryIndex>{0, 1});
  CHECK(test::copy(clustering->members(1 - left)) == std::vector<EntryIndex>{2, 3});

  changes.clear();
  for (EntryIndex entry = 4; entry < 7; ++entry) {
    clustering->append(entry, sequence.view(entry + 1), test::NothingResident{}, changes, work);
  }
  CHECK(test::copy(clustering->members(left)) == std::vector<EntryIndex>{0, 1, 4, 5});
  CHECK(test::copy(clustering->members(1 - left)) == std::vector<EntryIndex>{2, 3, 6});
  REQUIRE(changes.size() == 3);
  CHECK(changes[2].kind == ChangeKind::appended);
  CHECK(changes[2].unit == 1 - left);
  CHECK(changes[2].entry == 6);
}

TEST_CASE("kmeans: each new key joins the unit whose prompt mean is nearest, by brute force") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    for (const std::string metric : {"l2", "cosine"}) {
      CAPTURE(seed);
      CAPTURE(metric);
      Rng rng(seed);
      const Sequence sequence = Sequence::random(160, 8, rng);
      const auto clustering = make({{"metric", metric}, {"entries_per_cluster", std::int64_t{9}}}, 8, seed);
      ChangeList changes;
      Work work;
      clustering->build(sequence.view(100), changes, work);
      REQUIRE(clustering->unit_count() == 12);
      const auto means = means_of(*clustering, sequence);
      for (EntryIndex entry = 100; entry < 160; ++entry) {
        changes.clear();
        clustering->append(entry, sequence.view(entry + 1), test::NothingResident{}, changes, work);
        REQUIRE(changes.size() == 1);
        const auto chosen = static_cast<std::size_t>(changes[0].unit);
        const double chosen_distance = distance(sequence.key(entry), means[chosen], metric == "cosine");
        for (const std::vector<double>& mean : means) {
          CHECK(chosen_distance <= distance(sequence.key(entry), mean, metric == "cosine") + 1e-5);
        }
        CHECK(test::all_entries(*clustering) == test::first_entries(entry + 1));
      }
    }
  }
}

TEST_CASE("kmeans: a prompt shorter than the number of clusters gives every entry its own") {
  Rng rng(7);
  const Sequence sequence = Sequence::random(6, 4, rng);
  for (const EntryIndex prompt : {1, 5}) {
    CAPTURE(prompt);
    const auto clustering = make({{"clusters", std::int64_t{64}}}, 4);
    ChangeList changes;
    Work work;
    clustering->build(sequence.view(prompt), changes, work);
    CHECK(clustering->unit_count() == prompt);
    clustering->append(prompt, sequence.view(prompt + 1), test::NothingResident{}, changes, work);
    CHECK(test::all_entries(*clustering) == test::first_entries(prompt + 1));
  }
}

TEST_CASE("kmeans: no unit is empty, even where all keys are equal") {
  const Sequence sequence(std::vector<float>(20, 1.0F), 1);
  const auto clustering = make({{"clusters", std::int64_t{5}}}, 1);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(20), changes, work);
  CHECK(test::all_entries(*clustering) == test::first_entries(20));
  for (const std::vector<EntryIndex>& unit : units_of(*clustering)) {
    CHECK_FALSE(unit.empty());
  }
}

TEST_CASE("kmeans: the same seed gives the same units, and heads have streams of their own") {
  Rng rng(8);
  const Sequence sequence = Sequence::random(300, 8, rng);
  std::set<std::vector<std::vector<EntryIndex>>> different;
  for (const HeadId head : {HeadId{0, 0}, HeadId{0, 0}, HeadId{0, 1}, HeadId{1, 0}}) {
    const auto clustering =
        test::make<Clustering>("kmeans", {}, {.head_dim = 8, .head = head, .root_seed = 3});
    ChangeList changes;
    Work work;
    clustering->build(sequence.view(300), changes, work);
    different.insert(units_of(*clustering));
  }
  CHECK(different.size() == 3);
}

TEST_CASE("kmeans: work and DRAM are what the sizes say") {
  Rng rng(9);
  const Sequence sequence = Sequence::random(65, 4, rng);
  const auto clustering = make({{"iterations", std::int64_t{1}}}, 4);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(64), changes, work);
  CHECK(clustering->unit_count() == 2);
  // Seeding 3 * 2 * 256, one iteration 2 * 2 * 256 + 256.
  CHECK(work.flops == 1536.0 + 1280.0);
  // Keys of 512 bytes: twice to seed, twice in the iteration; centroids of 32 bytes read and written.
  CHECK(work.bytes == 1024.0 + 1024.0 + 64.0);
  CHECK(clustering->dram_bytes() == 64 * 4 + 2 * 4 * 2);

  work = {};
  clustering->append(64, sequence.view(65), test::NothingResident{}, changes, work);
  CHECK(work.flops == 3.0 * 2.0 * 4.0);
  CHECK(work.bytes == 2.0 * 4.0 * 2.0);
}

}  // namespace
}  // namespace kvr
