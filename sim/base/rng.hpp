#pragma once

#include <cstdint>
#include <string_view>

namespace kvr {

/// Deterministic random numbers: xoshiro256** (Blackman and Vigna 2018), seeded by SplitMix64.
///
/// Every user of randomness takes its own stream, named after what it is for, from the run's one root
/// seed, so that adding a consumer never shifts the numbers of another and thread count cannot matter.
/// The standard library's distributions differ between implementations; these do not.
class Rng {
 public:
  explicit Rng(std::uint64_t seed);

  /// A stream of its own for `name` (and an index, e.g. of a head), derived from `root_seed`.
  static Rng stream(std::uint64_t root_seed, std::string_view name, std::uint64_t index = 0);

  std::uint64_t next();
  /// Uniform in [0, 1).
  double uniform();
  /// Uniform integer in [0, bound); bound > 0. Unbiased (Lemire 2019).
  std::uint64_t below(std::uint64_t bound);
  /// Standard normal (Box-Muller).
  double normal();

 private:
  std::uint64_t state_[4];
  double spare_ = 0.0;
  bool has_spare_ = false;
};

}  // namespace kvr
