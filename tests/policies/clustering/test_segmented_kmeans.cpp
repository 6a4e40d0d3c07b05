// Clusters of directions: cases by hand, what RetroInfer promises of its units, and a plain reference.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/policies/support.hpp"

namespace kvr {
namespace {

using test::Sequence;
using Units = std::vector<std::vector<EntryIndex>>;

struct Sizes {
  std::int64_t each = 16;
  std::int64_t segment = 8192;
  std::int64_t iterations = 10;
  std::int64_t sinks = 0;
  std::int64_t recent = 0;
  std::int64_t window = 1024;
};

std::unique_ptr<Clustering> make(const Sizes& sizes, std::int64_t head_dim) {
  return test::make<Clustering>("segmented_kmeans",
                                {{"entries_per_cluster", sizes.each},
                                 {"segment_entries", sizes.segment},
                                 {"iterations", sizes.iterations},
                                 {"sinks", sizes.sinks},
                                 {"recent", sizes.recent},
                                 {"window", sizes.window}},
                                {.head_dim = head_dim, .head = {}, .root_seed = 5});
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

ChangeList build(Clustering& clustering, const Sequence& sequence, EntryIndex entries) {
  ChangeList changes;
  Work work;
  clustering.build(sequence.view(entries), changes, work);
  return changes;
}

TEST_CASE("segmented_kmeans: two directions about the mean, whatever the length; the ends wait") {
  // Less their mean (0, 0): up, right, up, right, left, down, down, left. Of entries 1 to 8 the centroids
  // begin at the third and the seventh.
  const Sequence sequence({50, 50, 1, 9, 9, 1, 2, 8, 8, 2, -9, -1, -1, -9, -2, -8, -8, -2, 70, 70}, 2);
  const auto clustering = make({.each = 4, .sinks = 1, .recent = 1}, 2);
  const ChangeList changes = build(*clustering, sequence, 10);
  CHECK(test::copy(clustering->pending(0)) == std::vector<EntryIndex>{0, 9});
  CHECK(members_of(*clustering) == Units{{1, 2, 3, 4}, {5, 6, 7, 8}});
  REQUIRE(changes.size() == 4);
  CHECK(changes[0].kind == ChangeKind::buffered);
  CHECK(changes[0].entry == 0);
  CHECK(changes[1].entry == 9);
  CHECK(changes[2].kind == ChangeKind::created);
  CHECK(changes[2].unit == 0);
  CHECK(changes[3].unit == 1);
}

TEST_CASE("segmented_kmeans: a window that is no longer recent becomes units of its own") {
  Rng rng(1);
  const Sequence sequence = Sequence::random(60, 4, rng);
  const auto clustering = make({.each = 4, .sinks = 2, .recent = 3, .window = 8}, 4);
  build(*clustering, sequence, 17);  // 12 settle, the last 3 wait
  const Units prompt = members_of(*clustering);
  CHECK(clustering->pending(0).size() == 5);
  for (EntryIndex entry = 17; entry < 24; ++entry) {
    CHECK(append(*clustering, sequence, entry).size() == 1);
    CHECK(members_of(*clustering) == prompt);
  }
  const ChangeList changes = append(*clustering, sequence, 24);  // 14 to 21 are eight
  REQUIRE(changes.size() >= 2);
  CHECK(changes[0].kind == ChangeKind::buffered);
  CHECK(changes[1].kind == ChangeKind::created);
  CHECK(changes[1].unit == std::ssize(prompt));
  CHECK(test::copy(clustering->pending(0)) == std::vector<EntryIndex>{0, 1, 22, 23, 24});
  const Units now = members_of(*clustering);
  std::vector<EntryIndex> added;
  for (std::size_t unit = 0; unit < now.size(); ++unit) {
    if (unit < prompt.size()) {
      CHECK(now[unit] == prompt[unit]);
    } else {
      added.insert(added.end(), now[unit].begin(), now[unit].end());
    }
  }
  std::ranges::sort(added);
  CHECK(added == std::vector<EntryIndex>{14, 15, 16, 17, 18, 19, 20, 21});
  CHECK(clustering->dram_bytes() == 4 * 25);
}

TEST_CASE(
    "segmented_kmeans: a prompt shorter than what waits has one unit without members until a window closes") {
  Rng rng(2);
  const Sequence sequence = Sequence::random(40, 4, rng);
  const auto clustering = make({.each = 4, .sinks = 4, .recent = 6, .window = 8}, 4);
  for (const Change& change : build(*clustering, sequence, 5)) {
    CHECK(change.kind == ChangeKind::buffered);
  }
  CHECK(clustering->unit_count() == 1);
  CHECK(clustering->pending(0).size() == 5);
  for (EntryIndex entry = 5; entry < 17; ++entry) {
    append(*clustering, sequence, entry);
  }
  CHECK(clustering->pending(0).size() == 17);
  const ChangeList changes = append(*clustering, sequence, 17);
  CHECK(changes[1].kind == ChangeKind::created);
  CHECK(changes[1].unit == 0);
  CHECK(test::copy(clustering->pending(0)) == std::vector<EntryIndex>{0, 1, 2, 3, 12, 13, 14, 15, 16, 17});
}

double product(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += a[i] * b[i];
  }
  return sum;
}

/// The reference's formulas, in double precision, of all `entries` keys. `closest`: the least by which the
/// best product was ever ahead, below which float may decide otherwise.
Units reference(const Sequence& sequence, std::int64_t entries, const Sizes& sizes, double& closest) {
  const auto d = static_cast<std::size_t>(sequence.head_dim());
  const auto n = static_cast<std::size_t>(entries);
  std::vector<std::vector<double>> x(n, std::vector<double>(d));
  for (std::size_t channel = 0; channel < d; ++channel) {
    double mean = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      x[i][channel] = static_cast<double>(sequence.key(static_cast<std::int64_t>(i))[channel]);
      mean += x[i][channel] / static_cast<double>(n);
    }
    for (std::size_t i = 0; i < n; ++i) {
      x[i][channel] -= mean;
    }
  }
  const auto segments = static_cast<std::size_t>(
      std::max(1.0, std::round(static_cast<double>(n) / static_cast<double>(sizes.segment))));
  const std::size_t length = n / segments;
  const auto each = static_cast<std::size_t>(
      std::max(1.0, std::round(static_cast<double>(length) / static_cast<double>(sizes.each))));
  std::vector<std::vector<double>> centroids;
  for (std::size_t j = 0; j < segments * each; ++j) {
    const double part = static_cast<double>(n) / static_cast<double>(segments * each);
    centroids.push_back(x[static_cast<std::size_t>(static_cast<double>(j) * part + part / 2.0)]);
  }
  const auto nearest = [&](const std::vector<double>& key, std::size_t first, std::size_t count) {
    std::size_t best = first;
    for (std::size_t j = first; j < first + count; ++j) {
      best = product(key, centroids[j]) > product(key, centroids[best]) ? j : best;
    }
    for (std::size_t j = first; j < first + count; ++j) {
      if (j != best) {
        closest = std::min(closest, product(key, centroids[best]) - product(key, centroids[j]));
      }
    }
    return best;
  };
  for (std::int64_t iteration = 1; iteration < sizes.iterations; ++iteration) {
    std::vector<std::vector<double>> sums(centroids.size(), std::vector<double>(d, 0.0));
    for (std::size_t i = 0; i < segments * length; ++i) {
      std::vector<double>& sum = sums[nearest(x[i], i / length * each, each)];
      for (std::size_t channel = 0; channel < d; ++channel) {
        sum[channel] += x[i][channel];
      }
    }
    for (std::size_t j = 0; j < sums.size(); ++j) {
      const double norm = std::sqrt(product(sums[j], sums[j]));
      for (std::size_t channel = 0; norm > 0.0 && channel < d; ++channel) {
        centroids[j][channel] = sums[j][channel] / norm;
      }
    }
  }
  Units units(centroids.size());
  for (std::size_t i = 0; i < n; ++i) {
    units[nearest(x[i], 0, centroids.size())].push_back(static_cast<EntryIndex>(i));
  }
  std::erase_if(units, [](const std::vector<EntryIndex>& unit) { return unit.empty(); });
  return units;
}

TEST_CASE("segmented_kmeans: the units of a plain reference, with one segment, several, and some left over") {
  int compared = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto entries = static_cast<std::int64_t>(40 + rng.below(300));
    const Sizes sizes = {.each = static_cast<std::int64_t>(4 + rng.below(20)),
                         .segment = static_cast<std::int64_t>(30 + rng.below(200)),
                         .iterations = static_cast<std::int64_t>(1 + rng.below(10))};
    const Sequence sequence = Sequence::random(entries, 6, rng);
    double closest = 1.0;
    const Units expected = reference(sequence, entries, sizes, closest);
    const auto clustering = make(sizes, 6);
    build(*clustering, sequence, static_cast<EntryIndex>(entries));
    if (closest > 1e-5) {
      CHECK(members_of(*clustering) == expected);
      ++compared;
    }
  }
  CHECK(compared >= 20);
}

TEST_CASE("segmented_kmeans: units and what waits are a partition at every entry, the last entries wait") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const Sequence sequence = Sequence::random(300, 6, rng);
    const auto clustering = make({.each = 8, .segment = 40, .sinks = 4, .recent = 10, .window = 30}, 6);
    build(*clustering, sequence, 120);
    for (EntryIndex entry = 120; entry < 300; ++entry) {
      append(*clustering, sequence, entry);
      REQUIRE(test::all_entries(*clustering) == test::first_entries(entry + 1));
      const auto waiting = clustering->pending(0);
      REQUIRE(std::ranges::is_sorted(waiting));
      REQUIRE(std::ssize(waiting) == 4 + 10 + (entry + 1 - 120) % 30);
      REQUIRE(waiting[3] == 3);
      for (UnitId unit = 0; unit < clustering->unit_count(); ++unit) {
        REQUIRE_FALSE(clustering->members(unit).empty());
      }
    }
  }
}

TEST_CASE("segmented_kmeans: equal keys have no direction, and are one unit") {
  const Sequence sequence(std::vector<float>(64, 2.0F), 2);
  const auto clustering = make({.each = 8}, 2);
  build(*clustering, sequence, 32);
  CHECK(clustering->unit_count() == 1);
  CHECK(clustering->members(0).size() == 32);
}

TEST_CASE("segmented_kmeans: what is clustered costs an iteration for each time, and a mean") {
  Rng rng(4);
  const Sequence sequence = Sequence::random(40, 4, rng);
  const auto clustering = make({.each = 4, .segment = 20, .iterations = 3}, 4);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(40), changes, work);
  // Two segments of 80 elements and 5 clusters, twice; then 160 elements and 10 clusters; the mean of 160.
  CHECK(work.flops == 2 * 2 * (2.0 * 5 * 80 + 80) + (2.0 * 10 * 160 + 160) + 2.0 * 160);
}

}  // namespace
}  // namespace kvr
