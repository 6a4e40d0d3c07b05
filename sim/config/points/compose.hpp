#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/base/registry.hpp"
#include "sim/config/points/axes.hpp"
#include "sim/config/text/tree.hpp"

namespace kvr::config {

/// Where a point stands along one key that is varied, seeds apart.
struct Coordinate {
  std::string axis;  ///< what it is called
  std::string key;   ///< dotted; empty where the value is no value of a key: files, points, names of values
  std::string text;  ///< what the value is called
};

/// One point before it is checked: a tree without `include`, `points`, `sweep`, `zip` and `run.seeds`.
struct PointTree {
  std::string name;
  std::string variant;  ///< the name without its seed: what points that differ in nothing else have in common
  Node root;
  std::vector<Coordinate> coordinates = {};  ///< what axes made of it, where they vary for it
  std::vector<std::string> unread = {};      ///< keys under which it lacks what a file would give
};

/// The points of a configuration, made one at a time: all of them at once would take as many copies of it.
class Points {
 public:
  std::size_t size() const { return combinations_.size() * (seeds_ ? seeds_->alternatives.size() : 1); }
  /// Names of the axes, seeds apart, in order.
  std::vector<std::string> axis_names() const;
  PointTree make(std::size_t index, Problems& problems) const;
  /// That they were read from.
  const std::vector<std::filesystem::path>& files() const { return files_; }

 private:
  friend Points compose(const std::filesystem::path& file, std::span<const std::string> sets,
                        const Catalogue& catalogue, Problems& problems);

  Node base_;
  std::vector<Node> overlays_;  ///< laid on the base, a point's name as key
  std::vector<Axis> axes_;
  std::vector<Combination> combinations_;
  std::optional<Axis> seeds_;  ///< varies fastest
  std::vector<Assignment> settings_;
  std::string stem_;  ///< the name where none is given
  std::vector<std::filesystem::path> files_;
  void take_axes(const Node& sweep, const Node& zip, Problems& problems);
  /// The names of `points`.
  std::vector<std::string> names() const;
};

/// Reads `file` with what it includes and lays out its points. Later wins: included files in order, the file
/// itself, a point's overlay (its includes first), the sweep's value, `--set`.
Points compose(const std::filesystem::path& file, std::span<const std::string> sets,
               const Catalogue& catalogue, Problems& problems);

}  // namespace kvr::config
