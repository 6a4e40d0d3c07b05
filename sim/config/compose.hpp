#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "sim/config/tree.hpp"
#include "sim/registry.hpp"

namespace kvr::config {

/// One point before it is checked: a tree without `include`, `points`, `sweep` and `zip`.
struct PointTree {
  std::string name;
  Node root;
  std::vector<std::filesystem::path> files = {};  ///< that it was read from
};

/// Reads `file` with what it includes and makes its points. Later wins: included files in order, the file
/// itself, a point's overlay (its includes first), the sweep's value, `--set`.
std::vector<PointTree> compose(const std::filesystem::path& file, std::span<const std::string> sets,
                               const Catalogue& catalogue, Problems& problems);

}  // namespace kvr::config
