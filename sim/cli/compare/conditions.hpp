#pragma once

#include <string>
#include <vector>

#include "sim/results/result_file.hpp"

namespace kvr::cli {

/// One key of resolved configurations that has other values in two files.
struct KeyDifference {
  std::string key;   ///< dotted
  std::string base;  ///< "nothing" where a configuration has no such key
  std::string now;

  friend bool operator==(const KeyDifference&, const KeyDifference&) = default;
};

/// Some points of two files that were not replayed under the same conditions, and in what these differ.
struct ConditionDifference {
  std::vector<std::string> points;  ///< variants
  std::vector<KeyDifference> traces;
  std::vector<KeyDifference> configuration;
};

/// Of all variants of both files. A file that was read, a trace or a calibration, is known by its hash,
/// wherever it lay. Left out is what results do not depend on: names and descriptions, seeds (which are
/// paired), threads, checks and what is recorded. Throws InputError where a configuration cannot be read.
std::vector<ConditionDifference> condition_differences(const ResultFile& base, const ResultFile& now);

}  // namespace kvr::cli
