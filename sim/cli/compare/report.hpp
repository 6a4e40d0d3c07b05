#pragma once

#include <string>
#include <vector>

#include "sim/cli/compare/conditions.hpp"
#include "sim/results/compare/comparison.hpp"

namespace kvr::cli {

/// Which results were compared.
struct ComparedFile {
  std::string name;
  std::string commit;  ///< of the program that wrote it
  std::size_t points;
  std::int64_t points_planned;
};

/// What `kvreplay compare` found.
struct CompareReport {
  ComparedFile base;
  ComparedFile now;
  compare::Comparison comparison;
  /// In what the two were not replayed alike, which was to be passed over.
  std::vector<ConditionDifference> conditions;
  /// What the base alone has is no regression.
  bool partial = false;

  /// What counts: moves, metrics that differ in steps, and what is missing.
  std::size_t regressions() const;
};

std::string compare_text(const CompareReport& report);
std::string compare_json(const CompareReport& report);
/// JUnit XML: a suite per point, a case per summary.
std::string compare_junit(const CompareReport& report);
/// For a comment on a pull request.
std::string compare_markdown(const CompareReport& report);

// --- What these have in common ---

std::string_view verdict_name(compare::Verdict verdict);
/// "3 regressions, 1 improved, 40 the same"
std::string counts_text(const CompareReport& report);
/// Moves that are not the same, the worst first.
std::vector<const compare::Move*> moved(const CompareReport& report);
/// "-0.018 +- 0.0129"
std::string change_text(const compare::Move& move);
/// "-9.9 %"; "-" where the base is 0 or there is no value.
std::string relative_text(const compare::Move& move);
/// What was allowed the way that the summary moved: "0", "2 %", "any".
std::string allowed_text(const compare::Move& move);
/// "recall at step 3, layer 8, kv_head 0: 0.5 -> 0.25"
std::string place_text(const compare::Place& place);
/// "5 seeds", "5 and 3 seeds"; empty of one.
std::string seeds_text(const compare::Difference& difference);
/// What is missing, extra or passed over, a line each.
std::vector<std::string> remarks(const CompareReport& report);
/// Of what the base alone keeps by step.
std::vector<std::string> names_of(const std::vector<compare::LostMetric>& metrics);

}  // namespace kvr::cli
