// The clustering against a plain reference, at every step of long random runs.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <set>

#include "sim/kernels/kmeans.hpp"
#include "tests/policies/clustering/adaptive_support.hpp"

namespace kvr {
namespace {

using namespace test::adaptive;
using test::Sequence;

/// As the pseudo-code says it, with plain loops in double and every mean and variance computed from the
/// members anew. It begins with the partition that it is held against.
class Reference {
 public:
  Reference(const Sequence& sequence, Units units, std::size_t buffer_entries)
      : sequence_(sequence), members_(std::move(units)), buffer_entries_(buffer_entries) {
    pending_.resize(members_.size());
  }

  double quantile(double quantile) const {
    std::vector<double> variances;
    for (const auto& unit : members_) {
      variances.push_back(variance(unit));
    }
    std::sort(variances.begin(), variances.end());
    const double at = quantile * static_cast<double>(variances.size() - 1);
    const double low = variances[static_cast<std::size_t>(std::floor(at))];
    const double high = variances[static_cast<std::size_t>(std::ceil(at))];
    return low + (at - std::floor(at)) * (high - low);
  }
  void bound_variance(double tau) { tau_ = tau; }
  void bound_size(std::size_t entries) { max_entries_ = entries; }

  /// Returns the unit to load, or -1.
  UnitId append(EntryIndex entry, const ResidentUnits& resident) {
    std::size_t nearest = 0;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t unit = 0; unit < members_.size(); ++unit) {
      const double d = squared_distance(point(entry), mean(members_[unit]));
      if (d < least) {
        least = d;
        nearest = unit;
      }
    }
    std::vector<EntryIndex> with = members_[nearest];
    with.push_back(entry);
    if (!exceeds(with)) {
      members_[nearest] = with;
    } else if (resident.resident(static_cast<UnitId>(nearest))) {
      members_[nearest] = with;
      divide(nearest);
    } else {
      pending_[nearest].push_back(entry);
      return to_load();
    }
    return -1;
  }

  void load(UnitId unit) {
    const auto u = static_cast<std::size_t>(unit);
    if (!pending_[u].empty() || exceeds(members_[u])) {
      divide(u);
    }
  }

  const Units& members() const { return members_; }
  const Units& pending() const { return pending_; }
  bool exceeds(const std::vector<EntryIndex>& entries) const {
    return max_entries_ > 0 ? entries.size() > max_entries_ : variance(entries) > tau_;
  }
  double tau() const { return tau_; }

  double variance(const std::vector<EntryIndex>& entries) const {
    const std::vector<double> centre = mean(entries);
    double sum = 0.0;
    for (const EntryIndex entry : entries) {
      sum += squared_distance(point(entry), centre);
    }
    return sum / static_cast<double>(entries.size());
  }

 private:
  std::vector<double> point(EntryIndex entry) const {
    const auto key = sequence_.key(entry);
    return {key.begin(), key.end()};
  }

  static double squared_distance(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      sum += (a[i] - b[i]) * (a[i] - b[i]);
    }
    return sum;
  }

  std::vector<double> mean(const std::vector<EntryIndex>& entries) const {
    std::vector<double> sum(static_cast<std::size_t>(sequence_.head_dim()), 0.0);
    for (const EntryIndex entry : entries) {
      for (std::size_t i = 0; i < sum.size(); ++i) {
        sum[i] += point(entry)[i] / static_cast<double>(entries.size());
      }
    }
    return sum;
  }

  UnitId to_load() const {
    std::size_t total = 0;
    std::size_t fullest = 0;
    for (std::size_t unit = 0; unit < pending_.size(); ++unit) {
      total += pending_[unit].size();
      fullest = pending_[unit].size() > pending_[fullest].size() ? unit : fullest;
    }
    return total >= buffer_entries_ ? static_cast<UnitId>(fullest) : -1;
  }

  std::size_t farthest(const std::vector<EntryIndex>& entries, const std::vector<double>& from) const {
    std::size_t best = 0;
    for (std::size_t i = 1; i < entries.size(); ++i) {
      if (squared_distance(point(entries[i]), from) > squared_distance(point(entries[best]), from)) {
        best = i;
      }
    }
    return best;
  }

  void divide(std::size_t unit) {
    std::vector<EntryIndex> entries = members_[unit];
    entries.insert(entries.end(), pending_[unit].begin(), pending_[unit].end());
    pending_[unit].clear();
    const std::vector<double> first = point(entries[farthest(entries, mean(entries))]);
    const std::vector<double> second = point(entries[farthest(entries, first)]);
    std::vector<double> centres[2] = {first, second};
    std::vector<EntryIndex> halves[2];
    for (int iteration = 0; iteration < 10; ++iteration) {
      std::vector<EntryIndex> next[2];
      for (const EntryIndex entry : entries) {
        const bool to_second =
            squared_distance(point(entry), centres[1]) < squared_distance(point(entry), centres[0]);
        next[to_second ? 1 : 0].push_back(entry);
      }
      REQUIRE_FALSE(next[0].empty());
      REQUIRE_FALSE(next[1].empty());
      const bool same = next[0] == halves[0];
      for (int half = 0; half < 2; ++half) {
        halves[half] = next[half];
        centres[half] = mean(next[half]);
      }
      if (same) {
        break;
      }
    }
    const int kept = halves[1].size() > halves[0].size() ? 1 : 0;
    const std::size_t other = members_.size();
    members_[unit] = halves[kept];
    members_.push_back(halves[1 - kept]);
    pending_.emplace_back();
    divide_if_wide(other);  // the newer half first
    divide_if_wide(unit);
  }

  void divide_if_wide(std::size_t unit) {
    if (exceeds(members_[unit])) {
      divide(unit);
    }
  }

  const Sequence& sequence_;
  Units members_;
  Units pending_;
  std::size_t buffer_entries_;
  double tau_ = 0.0;
  std::size_t max_entries_ = 0;  ///< 0: the variance is bounded
};

/// Keys around centres that wander and now and then jump, as those of a long answer.
Sequence drifting_keys(std::int64_t entries, std::int64_t head_dim, Rng& rng) {
  std::vector<std::vector<double>> centres(6, std::vector<double>(static_cast<std::size_t>(head_dim)));
  std::vector<float> keys;
  for (std::int64_t i = 0; i < entries; ++i) {
    std::vector<double>& centre = centres[rng.below(centres.size())];
    for (double& channel : centre) {
      channel = rng.below(100) == 0 ? 3.0 * rng.normal() : channel + 0.05 * rng.normal();
      keys.push_back(static_cast<float>(channel + 0.5 * rng.normal()));
    }
  }
  return {std::move(keys), head_dim};
}

std::set<UnitId> random_units(std::int64_t units, std::uint64_t one_in, Rng& rng) {
  std::set<UnitId> chosen;
  for (UnitId unit = 0; unit < units; ++unit) {
    if (rng.below(one_in) == 0) {
      chosen.insert(unit);
    }
  }
  return chosen;
}

/// Units that have changed since the prompt keep to the threshold; a prompt cluster may exceed it until it is
/// loaded. 1e-9 covers what the running update rounds.
void check_variances(const Reference& reference, const Units& prompt) {
  const Units& units = reference.members();
  for (std::size_t unit = 0; unit < units.size(); ++unit) {
    REQUIRE_FALSE(units[unit].empty());
    if (reference.tau() > 0.0 && (unit >= prompt.size() || units[unit] != prompt[unit])) {
      CHECK(reference.variance(units[unit]) <= reference.tau() * (1.0 + 1e-9));
    }
  }
}

struct RunCounts {
  int splits = 0;
  int waits = 0;
  int forced = 0;
};

constexpr EntryIndex kPrompt = 120;
constexpr EntryIndex kEnd = kPrompt + 2000;
constexpr std::int64_t kPerCluster = 12;

struct Everything final : ResidentUnits {
  bool resident(UnitId) const override { return true; }
};

/// The units that k-means makes of the first `entries`, with the random numbers of the calibration.
Units units_of_first(const Sequence& sequence, EntryIndex entries, std::uint64_t seed) {
  std::vector<float> keys;
  for (EntryIndex entry = 0; entry < entries; ++entry) {
    keys.insert(keys.end(), sequence.key(entry).begin(), sequence.key(entry).end());
  }
  Rng random = Rng::stream(seed, "clustering.adaptive.matched", 0);
  const auto result = kernels::kmeans(
      matrix_view<float>(keys.data(), entries, sequence.head_dim()),
      {.clusters = (entries + kPerCluster - 1) / kPerCluster, .max_iterations = 20, .tolerance = 1e-4},
      random);
  Units units(static_cast<std::size_t>((entries + kPerCluster - 1) / kPerCluster));
  for (EntryIndex entry = 0; entry < entries; ++entry) {
    units[static_cast<std::size_t>(result.assignment[static_cast<std::size_t>(entry)])].push_back(entry);
  }
  return units;
}

/// Units after the prompt's last three quarters, with a threshold of `tau`.
std::int64_t units_with(const Sequence& sequence, const Units& quarter, double tau) {
  Reference reference(sequence, quarter, 1000);
  reference.bound_variance(tau);
  for (UnitId unit = 0; unit < std::ssize(quarter); ++unit) {
    reference.load(unit);
  }
  for (EntryIndex entry = kPrompt / 4; entry < kPrompt; ++entry) {
    reference.append(entry, Everything());
  }
  return std::ssize(reference.members());
}

double matched_variance(const Sequence& sequence, std::int64_t per_unit, std::uint64_t seed) {
  const Units quarter = units_of_first(sequence, kPrompt / 4, seed);
  const std::int64_t wanted = (kPrompt + per_unit - 1) / per_unit;
  double high = Reference(sequence, {test::first_entries(kPrompt)}, 1000).quantile(0.5);
  double low = high / 1024.0;
  double best = 0.0;
  std::int64_t least = 1000;
  for (int trial = 0; trial < 12 && least > 0; ++trial) {
    const double tau = std::sqrt(low * high);
    const std::int64_t off = units_with(sequence, quarter, tau) - wanted;
    best = std::abs(off) < least ? tau : best;
    least = std::min(least, std::abs(off));
    (off > 0 ? low : high) = tau;
  }
  CHECK(least <= 1);
  return best;
}

enum class Bound { quantile, matched, size };

void run_against_reference(std::uint64_t seed, Bound bound, RunCounts& counts) {
  Rng rng(seed);
  const Sequence sequence = drifting_keys(kEnd, 4, rng);
  const std::int64_t buffer = std::array{4, 16, 1, 7}[seed % 4];
  const std::int64_t per_unit = std::array{6, 9, 12}[seed % 3];
  ParamValues values = {{"entries_per_cluster", kPerCluster}, {"buffer_entries", buffer}};
  if (bound == Bound::quantile) {
    values.insert({"quantile", 0.7});
  } else if (bound == Bound::matched) {
    values.insert({{"threshold", std::string("matched")}, {"entries_per_unit", per_unit}});
  } else {
    values.insert({"trigger", std::string("size")});
  }
  const auto clustering = make(values, 4, seed);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(kPrompt), changes, work);
  const Units prompt = members_of(*clustering);
  Reference reference(sequence, prompt, static_cast<std::size_t>(buffer));
  if (bound == Bound::quantile) {
    reference.bound_variance(reference.quantile(0.7));
  } else if (bound == Bound::matched) {
    reference.bound_variance(matched_variance(sequence, per_unit, seed));
  } else {
    reference.bound_size(2 * kPerCluster);
  }
  for (EntryIndex entry = kPrompt; entry < kEnd; ++entry) {
    changes.clear();
    const std::set<UnitId> selected = random_units(clustering->unit_count(), 40, rng);
    const std::vector<UnitId> list(selected.begin(), selected.end());
    clustering->loaded(list, sequence.view(entry + 1), changes, work);
    for (const UnitId unit : list) {
      reference.load(unit);
    }
    const Resident resident(random_units(clustering->unit_count(), 10, rng));
    clustering->append(entry, sequence.view(entry + 1), resident, changes, work);
    const UnitId wanted = reference.append(entry, resident);
    CHECK((changes.back().kind == ChangeKind::wants_load ? changes.back().unit : -1) == wanted);
    if (wanted >= 0) {
      clustering->loaded(std::vector<UnitId>{wanted}, sequence.view(entry + 1), changes, work);
      reference.load(wanted);
      ++counts.forced;
    }
    for (const Change& change : changes) {
      counts.splits += change.kind == ChangeKind::split ? 1 : 0;
      counts.waits += change.kind == ChangeKind::buffered ? 1 : 0;
    }
    REQUIRE(members_of(*clustering) == reference.members());
    REQUIRE(pending_of(*clustering) == reference.pending());
    CHECK(test::all_entries(*clustering) == test::first_entries(entry + 1));
    if (entry % 10 == 0) {
      check_variances(reference, prompt);
      clustering->check(sequence.view(entry + 1));
    }
  }
}

TEST_CASE("adaptive: over 2,000 random steps the units are those of a plain reference, at every step") {
  for (const Bound bound : {Bound::quantile, Bound::matched, Bound::size}) {
    CAPTURE(static_cast<int>(bound));
    RunCounts counts;
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      CAPTURE(seed);
      run_against_reference(seed, bound, counts);
    }
    CHECK(counts.splits > 100);
    CHECK(counts.waits > 100);
    CHECK(counts.forced > 20);
  }
}

}  // namespace
}  // namespace kvr
