#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/base/registry.hpp"
#include "sim/config/text/tree.hpp"

namespace kvr::config {

/// One key given a value, by a sweep or by `--set`.
struct Assignment {
  std::vector<std::string> path;  ///< empty: the value is laid over the whole
  Node value;
  std::string text = {};     ///< what the value is called: "fixed", or "capacity=1MiB" of a map
  bool after_equals = true;  ///< "budget=fixed", or "cache capacity=1MiB"
};

/// A key that an axis varies.
struct AxisKey {
  std::string key;  ///< dotted
  Mark mark;
  std::string name = {};  ///< what it is called in the names of points and in results
  bool named = false;     ///< by the configuration
  bool overlays = false;  ///< its alternatives are laid over the whole: files, or maps with names
  bool aliased = false;   ///< its values have names
};

/// For which points an axis varies.
struct Condition {
  std::string name;                ///< of an axis before it, or "points"
  std::vector<std::string> texts;  ///< what it must be called
};

/// What varies together: each alternative assigns the same keys.
struct Axis {
  std::vector<AxisKey> keys;
  Mark mark;
  std::vector<std::vector<Assignment>> alternatives;  ///< [alternatives][keys]
  std::vector<Condition> when = {};
  Mark when_mark = {};
};

/// An axis for each list of `sweep`; those that are null are dropped, and all where it is null itself.
std::vector<Axis> sweep_axes(const Node& sweep, Problems& problems);
/// All lists of `zip` as one axis; none where there is no `zip`.
std::vector<Axis> zip_axis(const Node& zip, Problems& problems);

/// Reports keys that are varied twice or set beside, and conditions that no point can meet. `points`: names
/// of points, one empty name where there are none.
void check_axes(const std::vector<Axis>& axes, const std::vector<Assignment>& settings,
                std::span<const std::string> points, Problems& problems);

/// Which alternative of each axis a point takes; none where it does not vary for it.
struct Combination {
  std::size_t overlay = 0;
  std::vector<std::optional<std::size_t>> alternatives;
};

/// All that conditions allow, the last axis fastest; no more than `most` and one.
std::vector<Combination> combinations_of(const std::vector<Axis>& axes, std::span<const std::string> points,
                                         std::size_t most);

}  // namespace kvr::config
