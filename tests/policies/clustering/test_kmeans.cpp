#include <doctest/doctest.h>

#include <cmath>
#include <set>
#include <utility>

#include "policies/kmeans_work.hpp"
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

/// Appends `entry` and, where all units are asked for, loads them.
void append_and_load(Clustering& clustering, EntryIndex entry, const Sequence& sequence, ChangeList& changes,
                     Work& work) {
  clustering.append(entry, sequence.view(entry + 1), test::NothingResident{}, changes, work);
  std::vector<UnitId> wanted;
  for (const Change& change : changes) {
    if (change.kind == ChangeKind::wants_load) {
      wanted.push_back(change.unit);
    }
  }
  if (!wanted.empty()) {
    clustering.loaded(wanted, sequence.view(entry + 1), changes, work);
  }
}

TEST_CASE(
    "kmeans: a refit reads all units, has as many as the entries call for, and they keep their number") {
  const Sequence sequence({0, 2, 10, 12, 20, 21}, 1);
  const auto clustering =
      make({{"entries_per_cluster", std::int64_t{2}}, {"refit_every", std::int64_t{1}}}, 1);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(4), changes, work);
  const UnitId left = clustering->members(0).front() == 0 ? 0 : 1;
  changes.clear();
  clustering->append(4, sequence.view(5), test::NothingResident{}, changes, work);
  REQUIRE(changes.size() == 3);
  CHECK(changes[0].kind == ChangeKind::appended);
  CHECK(changes[0].unit == 1 - left);
  CHECK(changes[1].kind == ChangeKind::wants_load);
  CHECK(changes[2].kind == ChangeKind::wants_load);
  CHECK(changes[2].unit == 1);
  changes.clear();
  work = {};
  clustering->loaded(std::vector<UnitId>{0, 1}, sequence.view(5), changes, work);
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].kind == ChangeKind::regrouped);
  REQUIRE(clustering->unit_count() == 3);
  CHECK(test::copy(clustering->members(left)) == std::vector<EntryIndex>{0, 1});
  CHECK(test::copy(clustering->members(1 - left)) == std::vector<EntryIndex>{2, 3});
  CHECK(test::copy(clustering->members(2)) == std::vector<EntryIndex>{4});
  CHECK(work.flops >= 3.0 * 3.0 * 5.0);  // k-means++ of three clusters

  changes.clear();
  clustering->loaded(std::vector<UnitId>{0}, sequence.view(5), changes, work);
  CHECK(changes.empty());
  clustering->append(5, sequence.view(6), test::NothingResident{}, changes, work);
  CHECK(changes[0].unit == 2);  // to the centroid of the refit
}

TEST_CASE(
    "kmeans: a refit is due after every refit_every entries, with `clusters` clusters where they are given") {
  Rng rng(3);
  const Sequence sequence = Sequence::random(100, 4, rng);
  const auto clustering = make({{"clusters", std::int64_t{6}}, {"refit_every", std::int64_t{15}}}, 4);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(20), changes, work);
  for (EntryIndex entry = 20; entry < 100; ++entry) {
    changes.clear();
    append_and_load(*clustering, entry, sequence, changes, work);
    CHECK((changes.back().kind == ChangeKind::regrouped) == ((entry - 19) % 15 == 0));
    CHECK(clustering->unit_count() == 6);
    CHECK(test::all_entries(*clustering) == test::first_entries(entry + 1));
  }
}

TEST_CASE("kmeans: the units of a refit are those of k-means of all keys, numbered by what they share") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    constexpr EntryIndex kPrompt = 60;
    constexpr EntryIndex kEnd = 140;
    const Sequence sequence = Sequence::random(kEnd, 6, rng);
    const auto clustering =
        make({{"entries_per_cluster", std::int64_t{7}}, {"refit_every", kEnd - kPrompt}}, 6, seed);
    ChangeList changes;
    Work work;
    clustering->build(sequence.view(kPrompt), changes, work);
    for (EntryIndex entry = kPrompt; entry + 1 < kEnd; ++entry) {
      clustering->append(entry, sequence.view(entry + 1), test::NothingResident{}, changes, work);
    }
    changes.clear();
    clustering->append(kEnd - 1, sequence.view(kEnd), test::NothingResident{}, changes, work);
    auto old = units_of(*clustering);
    old.resize(kEnd / 7);
    work = {};
    clustering->loaded(std::vector<UnitId>{0}, sequence.view(kEnd), changes, work);

    std::vector<float> keys;
    for (EntryIndex entry = 0; entry < kEnd; ++entry) {
      keys.insert(keys.end(), sequence.key(entry).begin(), sequence.key(entry).end());
    }
    Rng random = Rng::stream(seed, "clustering.kmeans.refit", 2 * 65536 + 1);
    const auto result =
        kernels::kmeans(matrix_view<float>(keys.data(), kEnd, 6),
                        {.clusters = kEnd / 7, .max_iterations = 20, .tolerance = 1e-4}, random);
    CHECK(work.flops == kmeans_work(kEnd, 6, kEnd / 7, kernels::Seeding::kPlusPlus, result.iterations).flops);
    // The pair that shares most, again and again.
    std::vector<std::vector<EntryIndex>> clusters(kEnd / 7);
    for (EntryIndex entry = 0; entry < kEnd; ++entry) {
      clusters[static_cast<std::size_t>(result.assignment[static_cast<std::size_t>(entry)])].push_back(entry);
    }
    std::vector<std::vector<EntryIndex>> expected(kEnd / 7);
    for (std::size_t round = 0; round < expected.size(); ++round) {
      std::int64_t most = -1;
      std::pair<std::size_t, std::size_t> best;
      for (std::size_t unit = 0; unit < expected.size(); ++unit) {
        for (std::size_t cluster = 0; cluster < clusters.size(); ++cluster) {
          const auto shared = std::ranges::count_if(clusters[cluster], [&](EntryIndex entry) {
            return std::ranges::find(old[unit], entry) != old[unit].end();
          });
          if (expected[unit].empty() && !clusters[cluster].empty() && shared > most) {
            most = shared;
            best = {unit, cluster};
          }
        }
      }
      expected[best.first] = std::exchange(clusters[best.second], {});
    }
    CHECK(units_of(*clustering) == expected);
  }
}

}  // namespace
}  // namespace kvr
