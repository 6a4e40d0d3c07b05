#include <doctest/doctest.h>

#include <cmath>

#include "tests/policies/support.hpp"

namespace kvr {
namespace {

using test::Sequence;
using Units = std::vector<std::vector<EntryIndex>>;

std::unique_ptr<Clustering> make(const ParamValues& values, std::int64_t head_dim, HeadId head = {}) {
  return test::make<Clustering>("kmeans_local", values, {.head_dim = head_dim, .head = head, .root_seed = 5});
}

Units members_of(const Clustering& clustering) {
  Units units;
  for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
    units.push_back(test::copy(clustering.members(unit)));
  }
  return units;
}

ChangeList append(Clustering& clustering, const Sequence& sequence, EntryIndex entry) {
  ChangeList changes;
  Work work;
  clustering.append(entry, sequence.view(entry + 1), test::NothingResident{}, changes, work);
  return changes;
}

TEST_CASE("kmeans_local: a window of four keys in two directions becomes two units, the old ones stay") {
  // By angle, not by distance: (9, 0) belongs to (1, 0), and (0, 1) to (0, 8).
  const Sequence sequence({1, 0, 0, 1, 9, 0, 0, 1, 1, 0, 0, 8, 5, 5}, 2);
  const auto clustering = make(
      {{"clusters", std::int64_t{2}}, {"window", std::int64_t{4}}, {"window_clusters", std::int64_t{2}}}, 2);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(2), changes, work);
  REQUIRE(clustering->unit_count() == 2);
  const Units prompt = members_of(*clustering);
  for (EntryIndex entry = 2; entry < 5; ++entry) {
    changes = append(*clustering, sequence, entry);
    REQUIRE(changes.size() == 1);
    CHECK(changes[0].kind == ChangeKind::buffered);
    CHECK(changes[0].unit == 0);
    CHECK(changes[0].entry == entry);
    CHECK(members_of(*clustering) == prompt);
  }
  CHECK(test::copy(clustering->pending(0)) == std::vector<EntryIndex>{2, 3, 4});
  CHECK(clustering->pending(1).empty());

  changes = append(*clustering, sequence, 5);
  REQUIRE(changes.size() == 3);
  CHECK(changes[0].kind == ChangeKind::buffered);
  CHECK(changes[1].kind == ChangeKind::created);
  CHECK(changes[1].unit == 2);
  CHECK(changes[2].kind == ChangeKind::created);
  CHECK(changes[2].unit == 3);
  CHECK(clustering->pending(0).empty());
  const std::size_t flat = clustering->members(2).front() == 2 ? 2 : 3;
  const Units units = members_of(*clustering);
  CHECK(units[flat] == std::vector<EntryIndex>{2, 4});
  CHECK(units[5 - flat] == std::vector<EntryIndex>{3, 5});
  CHECK(units[0] == prompt[0]);
  CHECK(units[1] == prompt[1]);

  append(*clustering, sequence, 6);
  CHECK(test::copy(clustering->pending(0)) == std::vector<EntryIndex>{6});
}

/// Whether each key of the units from `first` on has at least the cosine with its own unit's plain mean that
/// it has with the others' of its window, up to float rounding.
void check_nearest(const Clustering& clustering, const Sequence& sequence, UnitId first) {
  const auto d = static_cast<std::size_t>(sequence.head_dim());
  std::vector<std::vector<double>> means;
  for (UnitId unit = first; unit < clustering.unit_count(); ++unit) {
    std::vector<double> mean(d, 0.0);
    for (const EntryIndex entry : clustering.members(unit)) {
      for (std::size_t i = 0; i < d; ++i) {
        mean[i] += static_cast<double>(sequence.key(entry)[i]);
      }
    }
    means.push_back(mean);  // the length does not matter to a cosine
  }
  const auto cosine = [&](EntryIndex entry, const std::vector<double>& mean) {
    double product = 0.0;
    double norm = 0.0;
    double key_norm = 0.0;
    for (std::size_t i = 0; i < d; ++i) {
      const auto k = static_cast<double>(sequence.key(entry)[i]);
      product += k * mean[i];
      norm += mean[i] * mean[i];
      key_norm += k * k;
    }
    return product / std::sqrt(norm * key_norm);
  };
  for (UnitId unit = first; unit < clustering.unit_count(); ++unit) {
    for (const EntryIndex entry : clustering.members(unit)) {
      for (const std::vector<double>& mean : means) {
        CHECK(cosine(entry, means[static_cast<std::size_t>(unit - first)]) >= cosine(entry, mean) - 1e-5);
      }
    }
  }
}

TEST_CASE("kmeans_local: windows close on their last key, hold only their own keys and never change again") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const Sequence sequence = Sequence::random(200, 6, rng);
    const auto clustering = make({{"entries_per_cluster", std::int64_t{10}},
                                  {"window", std::int64_t{30}},
                                  {"window_clusters", std::int64_t{4}},
                                  {"iterations", std::int64_t{1000}},
                                  {"tolerance", 0.0}},
                                 6);
    ChangeList changes;
    Work work;
    clustering->build(sequence.view(50), changes, work);
    check_nearest(*clustering, sequence, 0);
    Units before = members_of(*clustering);
    for (EntryIndex entry = 50; entry < 200; ++entry) {
      append(*clustering, sequence, entry);
      const EntryIndex generated = entry + 1 - 50;
      CHECK(std::ssize(clustering->pending(0)) == generated % 30);
      CHECK(clustering->unit_count() == 5 + generated / 30 * 4);
      CHECK(test::all_entries(*clustering) == test::first_entries(entry + 1));
      const Units now = members_of(*clustering);
      for (std::size_t unit = 0; unit < before.size(); ++unit) {
        CHECK(now[unit] == before[unit]);
      }
      if (generated % 30 == 0) {
        check_nearest(*clustering, sequence, static_cast<UnitId>(before.size()));
        for (std::size_t unit = before.size(); unit < now.size(); ++unit) {
          REQUIRE_FALSE(now[unit].empty());
          CHECK(now[unit].front() >= entry + 1 - 30);
        }
      }
      before = now;
    }
  }
}

TEST_CASE("kmeans_local: generated entries stay in the window for good where they are not clustered") {
  Rng rng(1);
  const Sequence sequence = Sequence::random(100, 4, rng);
  const auto clustering = make({{"window", std::int64_t{8}}, {"cluster_generated", false}}, 4);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(40), changes, work);
  const Units prompt = members_of(*clustering);
  for (EntryIndex entry = 40; entry < 100; ++entry) {
    CHECK(append(*clustering, sequence, entry).size() == 1);
  }
  CHECK(members_of(*clustering) == prompt);
  CHECK(clustering->pending(0).size() == 60);
  CHECK(clustering->dram_bytes() == 400);
}

TEST_CASE("kmeans_local: more clusters than entries in a window give each entry its own") {
  Rng rng(2);
  const Sequence sequence = Sequence::random(10, 4, rng);
  const auto clustering = make({{"window", std::int64_t{3}}}, 4);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(4), changes, work);
  for (EntryIndex entry = 4; entry < 7; ++entry) {
    append(*clustering, sequence, entry);
  }
  CHECK(clustering->unit_count() == 1 + 3);
  CHECK(test::all_entries(*clustering) == test::first_entries(7));
}

TEST_CASE("kmeans_local: begins with the units of kmeans and adaptive, where the metric is theirs") {
  Rng rng(3);
  const Sequence sequence = Sequence::random(300, 8, rng);
  std::vector<Units> prompts;
  for (const char* name : {"kmeans_local", "kmeans", "adaptive"}) {
    const ParamValues values =
        std::string(name) == "kmeans_local" ? ParamValues{{"metric", std::string("l2")}} : ParamValues{};
    const auto clustering = test::make<Clustering>(
        name, values, {.head_dim = 8, .head = {.layer = 3, .head = 1}, .root_seed = 9});
    ChangeList changes;
    Work work;
    clustering->build(sequence.view(300), changes, work);
    prompts.push_back(members_of(*clustering));
  }
  CHECK(prompts[1] == prompts[0]);
  CHECK(prompts[2] == prompts[0]);
}

TEST_CASE("kmeans_local: only the key that fills the window costs anything") {
  Rng rng(4);
  const Sequence sequence = Sequence::random(20, 4, rng);
  const auto clustering = make({{"window", std::int64_t{6}},
                                {"window_clusters", std::int64_t{2}},
                                {"iterations", std::int64_t{1}},
                                {"seeding", std::string("random_rows")}},
                               4);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(8), changes, work);
  for (EntryIndex entry = 8; entry < 14; ++entry) {
    work = {};
    clustering->append(entry, sequence.view(entry + 1), test::NothingResident{}, changes, work);
    // One iteration over 24 elements, for two centroids of 4 channels: 2 * 2 * 24 + 24 operations; the keys
    // twice, the centroids read and written.
    CHECK(work.flops == (entry == 13 ? 120.0 : 0.0));
    CHECK(work.bytes == (entry == 13 ? 2.0 * 48.0 + 2.0 * 32.0 : 0.0));
  }
}

}  // namespace
}  // namespace kvr
