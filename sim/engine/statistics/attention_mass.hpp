#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace kvr {

/// For each of `shares`, ascending, of the sum of `weights`: the smallest number of weights that add up to
/// it. A billionth of the sum may be missing, so that what the shares lose as binary fractions does not
/// count.
void count_entries_for(std::span<const float> weights, std::span<const double> shares,
                       std::span<std::int64_t> counts);

/// How few entries hold how much of the attention, and where it lies: means over the queries that were shown.
class AttentionMass {
 public:
  static constexpr std::array<double, 4> kShares = {0.5, 0.9, 0.95, 0.99};
  /// Entries before the current one. With the current one and without the sinks they are what a system with
  /// such a recent window pins.
  static constexpr std::array<std::int64_t, 3> kWindows = {32, 128, 512};

  explicit AttentionMass(std::int64_t sinks) : sinks_(sinks) {}

  /// The softmax of one query over all visible entries, of which the current one is the last.
  void observe(std::span<const float> probabilities);

  struct Entries {
    double mean = 0.0;
    double p95 = 0.0;
    double visible_share = 0.0;  ///< mean of entries / visible entries
  };
  /// That hold the share `kShares[share]`.
  Entries entries_for(std::size_t share) const;
  /// Within the sinks.
  double sink_mass() const;
  /// Within `kWindows[window]`.
  double window_mass(std::size_t window) const;

 private:
  struct Query {
    std::int64_t visible;
    std::array<std::int64_t, kShares.size()> entries;
    double sink_mass;
    std::array<double, kWindows.size()> window_mass;
  };

  std::int64_t sinks_;
  std::vector<Query> queries_;
};

}  // namespace kvr
