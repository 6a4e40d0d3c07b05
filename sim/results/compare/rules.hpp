#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sim/results/compare/directions.hpp"

namespace kvr::compare {

/// By how much a summary may move.
struct Tolerance {
  double amount = 0.0;
  bool relative = false;  ///< to the base's value: 0.02 is 2 %

  /// In the summary's unit.
  double allowed(double base) const;
};

/// Which moves are no regression, within no tolerance.
enum class Direction {
  up,    ///< growth is an improvement
  down,  ///< a drop is
  same,  ///< none
  any,   ///< all are told, none counts
};

/// What holds for some summaries of some points; what is not given stays as it was.
struct Rule {
  std::string metric = "*";  ///< a name, a family or a pattern; see means()
  std::string points = "*";  ///< a pattern of variants
  std::optional<Direction> direction = {};
  std::optional<Tolerance> max_drop = {};
  std::optional<Tolerance> max_growth = {};
  std::optional<bool> ignore = {};
};

/// What counts as a regression of one summary: a drop or a growth beyond its tolerance. Without a limit a
/// move that way is an improvement where the other way has one, else a change.
struct Limits {
  std::optional<Tolerance> drop = {};
  std::optional<Tolerance> growth = {};
  bool ignored = false;

  /// Neither way, and by nothing.
  bool allow_no_move() const;
};

/// From the direction in which the summary gets better, within no tolerance, or `exact`: from
/// Direction::same; then rule by rule, so that later ones win.
Limits limits_of(std::string_view summary, std::string_view variant, std::span<const Rule> rules, bool exact);

}  // namespace kvr::compare
