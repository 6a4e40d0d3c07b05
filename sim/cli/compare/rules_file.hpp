#pragma once

#include <filesystem>
#include <vector>

#include "sim/cli/compare/tolerances.hpp"
#include "sim/config/text/problems.hpp"
#include "sim/results/compare/rules.hpp"

namespace kvr::cli {

/// The rules of a YAML file, a list of maps (docs/compare.md), in its order; what is wrong with them are
/// problems with their places. `file` may be a stream.
std::vector<compare::Rule> read_rules(const std::filesystem::path& file, const Measures& measures,
                                      config::Problems& problems);

}  // namespace kvr::cli
