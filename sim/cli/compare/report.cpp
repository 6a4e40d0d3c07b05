#include "sim/cli/compare/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/base/hdf5.hpp"
#include "sim/cli/result/value_text.hpp"

namespace kvr::cli {
namespace {

using compare::Move;
using compare::Verdict;

/// The worst first.
constexpr std::array kBySeverity = {Verdict::regression, Verdict::uncertain, Verdict::within,
                                    Verdict::changed,    Verdict::improved,  Verdict::same};

std::size_t severity(const Move* move) {
  return static_cast<std::size_t>(std::ranges::find(kBySeverity, move->verdict) - kBySeverity.begin());
}

std::string list_of(const std::vector<std::string>& names) {
  return printable(hdf5::list_text(names));
}

void name_lone(std::vector<std::string>& lines, const std::string& file, const char* what,
               const std::vector<std::string>& names) {
  if (!names.empty()) {
    lines.push_back(fmt::format("only in {}: {} {}", file, what, list_of(names)));
  }
}

void name_seeds(std::vector<std::string>& lines, const std::string& file,
                const std::vector<compare::LoneSeeds>& seeds) {
  for (const compare::LoneSeeds& lone : seeds) {
    lines.push_back(fmt::format("only in {}: seeds {} of point {}", file, hdf5::list_text(lone.seeds),
                                printable(lone.point)));
  }
}

void name_incomplete(std::vector<std::string>& lines, const ComparedFile& file) {
  if (static_cast<std::int64_t>(file.points) != file.points_planned) {
    lines.push_back(fmt::format("{} has {} of {} points", file.name, file.points, file.points_planned));
  }
}

void name_conditions(std::vector<std::string>& lines, const std::vector<ConditionDifference>& conditions) {
  for (const ConditionDifference& difference : conditions) {
    std::vector<std::string> keys;
    for (const auto* part : {&difference.traces, &difference.configuration}) {
      for (const KeyDifference& key : *part) {
        keys.push_back(fmt::format("{} {} -> {}", key.key, key.base, key.now));
      }
    }
    lines.push_back(fmt::format("not replayed alike: {}: {}", list_of(difference.points), list_of(keys)));
  }
}

}  // namespace

std::size_t CompareReport::regressions() const {
  const auto metrics = static_cast<std::size_t>(
      std::ranges::count(comparison.missing_metrics, true, &compare::LostMetric::regression));
  const std::size_t missing =
      partial ? 0 : comparison.missing_points.size() + comparison.missing_summaries.size() + metrics;
  return comparison.count(Verdict::regression) + missing +
         static_cast<std::size_t>(
             std::ranges::count(comparison.step_moves, true, &compare::StepMove::regression));
}

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::same:
      return "same";
    case Verdict::within:
      return "within";
    case Verdict::uncertain:
      return "uncertain";
    case Verdict::changed:
      return "changed";
    case Verdict::improved:
      return "improved";
    case Verdict::regression:
      break;
  }
  return "regression";
}

std::string counts_text(const CompareReport& report) {
  const std::size_t regressions = report.regressions();
  std::string text = regressions == 0   ? "no regression"
                     : regressions == 1 ? "1 regression"
                                        : fmt::format("{} regressions", regressions);
  for (const Verdict verdict : kBySeverity) {
    const std::size_t count = report.comparison.count(verdict);
    if (verdict != Verdict::regression && count > 0) {
      text += fmt::format(", {} {}", count, verdict == Verdict::same ? "the same" : verdict_name(verdict));
    }
  }
  return text;
}

std::vector<const Move*> moved(const CompareReport& report) {
  std::vector<const Move*> moves;
  for (const Move& move : report.comparison.moves) {
    if (move.verdict != Verdict::same) {
      moves.push_back(&move);
    }
  }
  std::ranges::stable_sort(moves, {}, severity);
  return moves;
}

std::string change_text(const Move& move) {
  if (move.difference.presence == compare::Presence::lost) {
    return "lost";
  }
  if (move.difference.presence == compare::Presence::gained) {
    return "gained";
  }
  const std::string sign = move.difference.difference > 0.0 ? "+" : "";
  const std::string change = sign + value_text(move.difference.difference, move.unit);
  return move.difference.has_interval()
             ? fmt::format("{} +- {}", change, value_text(move.difference.half_width, move.unit))
             : change;
}

std::string relative_text(const Move& move) {
  const double relative = move.difference.difference / std::abs(move.difference.base);
  return std::isfinite(relative) ? fmt::format("{:+.3g} %", 100.0 * relative) : "-";
}

std::string allowed_text(const Move& move) {
  const bool is_drop = move.difference.difference < 0.0;
  const bool is_none = move.difference.difference == 0.0;  // of seeds that moved against each other
  const auto& limit = is_drop || (is_none && !move.limits.growth) ? move.limits.drop : move.limits.growth;
  if (!limit) {
    return "any";
  }
  if (limit->amount == 0.0) {
    return "0";
  }
  return limit->relative ? fmt::format("{:.4g} %", 100.0 * limit->amount)
                         : value_text(limit->amount, move.unit);
}

std::string place_text(const compare::Place& place) {
  if (place.at.empty()) {
    return fmt::format("{} has other dimensions", printable(place.dataset));
  }
  std::vector<std::string> labels;
  for (const auto& [dimension, label] : place.at) {
    labels.push_back(fmt::format("{} {}", dimension, label));
  }
  const std::string at = printable(fmt::format("{} at {}", place.dataset, fmt::join(labels, ", ")));
  const std::string base = fmt::format("{:.6g}", place.base);
  const std::string now = fmt::format("{:.6g}", place.now);
  return base != now ? fmt::format("{}: {} -> {}", at, base, now)
                     : fmt::format("{}: {} -> {}", at, place.base, place.now);
}

std::string seeds_text(const compare::Difference& difference) {
  if (difference.base_seeds != difference.now_seeds) {
    return fmt::format("{} and {} seeds", difference.base_seeds, difference.now_seeds);
  }
  return difference.base_seeds > 1 ? fmt::format("{} seeds", difference.base_seeds) : "";
}

std::vector<std::string> remarks(const CompareReport& report) {
  const compare::Comparison& comparison = report.comparison;
  std::vector<std::string> lines;
  name_incomplete(lines, report.base);
  name_incomplete(lines, report.now);
  name_conditions(lines, report.conditions);
  name_lone(lines, report.base.name, "points", comparison.missing_points);
  name_lone(lines, report.now.name, "points", comparison.extra_points);
  name_seeds(lines, report.base.name, comparison.missing_seeds);
  name_seeds(lines, report.now.name, comparison.extra_seeds);
  name_lone(lines, report.base.name, "summaries", comparison.missing_summaries);
  name_lone(lines, report.now.name, "summaries", comparison.extra_summaries);
  name_lone(lines, report.base.name, "metrics by step", names_of(comparison.missing_metrics));
  name_lone(lines, report.now.name, "metrics by step", comparison.extra_metrics);
  return lines;
}

std::vector<std::string> names_of(const std::vector<compare::LostMetric>& metrics) {
  std::vector<std::string> names;
  std::ranges::transform(metrics, std::back_inserter(names), &compare::LostMetric::name);
  return names;
}

}  // namespace kvr::cli
