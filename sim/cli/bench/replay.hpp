#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "sim/cli/bench/measure.hpp"

namespace kvr::bench {

/// Of the project's folder: the configurations of the benchmarks.
inline constexpr const char* kConfigFolder = "configs/bench";

/// A whole `kvreplay run` in a process of its own.
struct ReplayResult {
  std::string name;
  std::string what;
  std::int64_t prompt = 0;  ///< tokens
  std::int64_t steps = 0;   ///< replayed
  Timing wall;
  Timing cpu;
  std::int64_t peak_bytes = 0;  ///< resident, the most of all runs
  double wall_limit_s = 0.0;    ///< 0: none is stated
  std::int64_t peak_limit_bytes = 0;

  bool meets_wall_limit() const { return wall_limit_s <= 0.0 || wall.median_s < wall_limit_s; }
  bool meets_peak_limit() const { return peak_bytes < peak_limit_bytes; }
};

/// Whether `source` is the project's folder, with the configurations of the benchmarks; InputError if not.
void check_source(const std::filesystem::path& source);

/// The shipped sample trace with static k-means on one core.
/// What benchmarks of replays read.
std::vector<std::filesystem::path> inputs(const std::filesystem::path& source);

ReplayResult measure_sample(const std::filesystem::path& source);

/// A synthetic trace of 131,072 tokens, made in a temporary folder and removed afterwards. Making it is not
/// timed.
ReplayResult measure_scale(const std::filesystem::path& source);

}  // namespace kvr::bench
