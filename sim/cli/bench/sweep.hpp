#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>

#include "sim/cli/bench/measure.hpp"

namespace kvr::bench {

/// How thorough the benchmark of sweeps is.
struct SweepSize {
  std::int64_t steps = 100;      ///< of each point
  std::int64_t more_steps = 10;  ///< of each point of the sweeps that grow
  std::int64_t seeds = 4;        ///< 25 points each
  std::array<std::int64_t, 3> more_seeds = {5, 20, 40};
  int runs = 3;

  /// Shows that it runs; its figures say little.
  static SweepSize brief() {
    return {.steps = 4, .more_steps = 2, .seeds = 1, .more_seeds = {1, 2, 3}, .runs = 1};
  }
};

/// Several times a whole `kvreplay run` of a sweep, in processes of their own.
struct SweepRun {
  std::string what;
  std::int64_t points = 0;
  std::int64_t steps = 0;  ///< of each
  Timing cpu;              ///< user and system, of all processes
  Timing wall;

  double cpu_per_point_s() const { return cpu.median_s / static_cast<double>(points); }
};

/// What a sweep takes beside what it cannot do without: its points' own time and one pass of the exact
/// attention.
struct SweepCost {
  SweepRun usual;       ///< results written, all options as they are by default
  SweepRun two_jobs;    ///< -j 2
  SweepRun one_by_one;  ///< --together 1
  SweepRun unwritten;   ///< no results
  std::array<SweepRun, 3> growing;

  /// CPU time of the replays of all points, one after another in one process, where the exact attention is
  /// known: what a point adds to one like it beside which it is replayed. Measured of the points of one seed,
  /// and taken for the others'.
  Timing own;
  /// Of the rest of a replay alone, the mean of all points: reading the trace once, the exact attention of
  /// all steps, what it ranks highest.
  Timing exact;

  static constexpr double kOverheadMost = 1.2;
  static constexpr double kSpeedupLeast = 1.8;
  static constexpr double kGrowthMost = 1.1;

  double overhead() const { return usual.cpu.median_s / (own.median_s + exact.median_s); }
  double speedup() const { return usual.wall.median_s / two_jobs.wall.median_s; }
  double sharing() const { return one_by_one.cpu.median_s / usual.cpu.median_s; }
  double record_s() const { return usual.cpu_per_point_s() - unwritten.cpu_per_point_s(); }
  /// What a point takes in the largest sweep over what it takes in the smallest.
  double growth() const { return growing.back().cpu_per_point_s() / growing.front().cpu_per_point_s(); }

  bool meets_overhead() const { return overhead() <= kOverheadMost; }
  bool meets_speedup() const { return speedup() >= kSpeedupLeast; }
  bool meets_growth() const { return growth() <= kGrowthMost; }
};

/// Sweeps of the shipped sample trace. CPU times, because the machine may be busy; only what two processes
/// gain is by wall-clock time, and needs two cores that nobody else uses.
SweepCost measure_sweep(const std::filesystem::path& source, const SweepSize& size);

}  // namespace kvr::bench
