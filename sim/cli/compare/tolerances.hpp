#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/results/compare/rules.hpp"
#include "sim/results/result_file.hpp"

namespace kvr::cli {

/// What rules may speak of: summaries, and the metrics that they are made of, with their units.
class Measures {
 public:
  /// Those that this version of the program writes.
  Measures();
  void add(const ResultFile& file);

  /// The units of all that `name` means; none: it means nothing.
  std::vector<std::string> units(std::string_view name) const;

 private:
  struct Measure {
    std::string name;
    std::string unit;
  };
  std::vector<Measure> measures_;
};

/// "no summary is called 'recal'; did you mean 'recall'? allowed: ..."
std::string unknown_measure(std::string_view name);

/// What was read, or why it cannot be.
struct ReadTolerance {
  std::optional<compare::Tolerance> tolerance;
  std::string problem;
};

/// `text` is a percentage, a plain number, or a number with one of the units of what `measure` means.
ReadTolerance read_tolerance(std::string_view text, std::string_view measure, const Measures& measures);

}  // namespace kvr::cli
