#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/base/registry.hpp"
#include "sim/config/text/tree.hpp"

namespace kvr::config {

/// One point before it is checked: a tree without `include`, `points`, `sweep`, `zip` and `run.seeds`.
struct PointTree {
  std::string name;
  std::string variant;  ///< the name without its seed: what points that differ in nothing else have in common
  Node root;
};

/// One key given a value, by a sweep or by `--set`.
struct Assignment {
  std::vector<std::string> path;
  Node value;
  std::string label = {};  ///< "budget=fixed": its part of a point's name
};

/// What varies together: each alternative assigns the same keys.
struct Axis {
  std::vector<std::string> keys;
  Mark mark;
  std::vector<std::vector<Assignment>> alternatives;
};

/// The points of a configuration, made one at a time: all of them at once would take as many copies of it.
class Points {
 public:
  std::size_t size() const { return size_; }
  PointTree make(std::size_t index, Problems& problems) const;
  /// That they were read from.
  const std::vector<std::filesystem::path>& files() const { return files_; }

 private:
  friend Points compose(const std::filesystem::path& file, std::span<const std::string> sets,
                        const Catalogue& catalogue, Problems& problems);

  Node base_;
  std::vector<Node> overlays_;  ///< laid on the base, a point's name as key
  std::vector<Axis> axes_;
  std::optional<Axis> seeds_;  ///< varies fastest
  std::vector<Assignment> settings_;
  std::string stem_;  ///< the name where none is given
  std::vector<std::filesystem::path> files_;
  std::size_t size_ = 0;
};

/// Reads `file` with what it includes and lays out its points. Later wins: included files in order, the file
/// itself, a point's overlay (its includes first), the sweep's value, `--set`.
Points compose(const std::filesystem::path& file, std::span<const std::string> sets,
               const Catalogue& catalogue, Problems& problems);

}  // namespace kvr::config
