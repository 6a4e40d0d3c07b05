#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/results/compare/difference.hpp"
#include "sim/results/compare/first_difference.hpp"
#include "sim/results/compare/rules.hpp"
#include "sim/results/result_file.hpp"

namespace kvr::compare {

/// What is compared, and how strictly.
struct Request {
  std::vector<Rule> rules = {};
  bool exact = false;  ///< no move is allowed, whichever way it goes, but within a tolerance
  bool host = false;   ///< also what was measured on the machines that ran the replays
};

/// One summary of one variant.
struct Move {
  std::string point;  ///< its variant: a point without its seed
  std::string summary;
  std::string unit;
  Origin origin;
  Difference difference;
  Limits limits;
  Verdict verdict;
  /// Where a metric that the summary is made of differs first, of the first seed of both files in which one
  /// does, if both keep steps.
  std::optional<Place> first = {};
  std::int64_t first_seed = 0;
};

/// A metric that differs in some step although no summary does that is made of it.
struct StepMove {
  std::string point;
  std::int64_t seed;
  Place first;
  bool regression;  ///< Request::exact, or a rule that means it, allows no move at all
};

/// A metric by step that the base alone keeps.
struct LostMetric {
  std::string name;
  bool regression;  ///< likewise
};

/// Seeds of a variant that one file alone has.
struct LoneSeeds {
  std::string point;
  std::vector<std::int64_t> seeds;
};

/// Everything in which two results differ. Variants, summaries and seeds of one file alone are named and not
/// compared.
struct Comparison {
  std::vector<Move> moves;           ///< of every summary that is compared, those that are the same too
  std::vector<StepMove> step_moves;  ///< simulated metrics
  std::vector<std::string> missing_points;     ///< of the base alone
  std::vector<std::string> extra_points;       ///< of the other alone
  std::vector<std::string> missing_summaries;  ///< likewise; ignored ones are not named
  std::vector<std::string> extra_summaries;
  std::vector<LostMetric> missing_metrics;  ///< by step, simulated; likewise
  std::vector<std::string> extra_metrics;
  std::vector<LoneSeeds> missing_seeds;
  std::vector<LoneSeeds> extra_seeds;

  std::size_t count(Verdict verdict) const;
};

Comparison compare_results(const ResultFile& base, const ResultFile& now, const Request& request);

/// The points of both files that have the same variant and seed, in the order of the base.
struct SameRun {
  std::string point;  ///< variant
  std::int64_t seed;
  PointPair pair;
};
std::vector<SameRun> same_runs(const ResultFile& base, const ResultFile& now);

}  // namespace kvr::compare
