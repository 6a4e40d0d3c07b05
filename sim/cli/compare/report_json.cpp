#include <optional>

#include "sim/base/json.hpp"
#include "sim/cli/compare/report.hpp"

namespace kvr::cli {
namespace {

using compare::Method;
using compare::Move;

Json file_json(const ComparedFile& file) {
  return {{"file", file.name},
          {"commit", file.commit},
          {"points", file.points},
          {"points_planned", file.points_planned}};
}

Json tolerance_json(const std::optional<compare::Tolerance>& tolerance) {
  return tolerance ? Json{{"amount", tolerance->amount}, {"relative", tolerance->relative}} : Json();
}

Json place_json(const compare::Place& place, std::int64_t seed) {
  Json at = Json::object();
  for (const auto& [dimension, label] : place.at) {
    at[dimension] = label;
  }
  return {{"seed", seed}, {"metric", place.dataset}, {"at", at}, {"base", place.base}, {"new", place.now}};
}

const char* method_name(Method method) {
  return method == Method::paired ? "paired" : method == Method::welch ? "welch" : "plain";
}

Json move_json(const Move& move) {
  const compare::Difference& difference = move.difference;
  return {{"point", move.point},
          {"summary", move.summary},
          {"unit", move.unit},
          {"measured", move.origin == Origin::host},
          {"verdict", verdict_name(move.verdict)},
          {"base", difference.base},
          {"new", difference.now},
          {"difference", difference.equal ? 0.0 : difference.difference},
          {"half_width", difference.half_width},
          {"method", method_name(difference.method)},
          {"base_seeds", difference.base_seeds},
          {"new_seeds", difference.now_seeds},
          {"max_drop", tolerance_json(move.limits.drop)},
          {"max_growth", tolerance_json(move.limits.growth)},
          {"first", move.first ? place_json(*move.first, move.first_seed) : Json()}};
}

Json conditions_json(const std::vector<ConditionDifference>& conditions) {
  Json all = Json::array();
  for (const ConditionDifference& difference : conditions) {
    Json keys = Json::array();
    for (const auto* part : {&difference.traces, &difference.configuration}) {
      for (const KeyDifference& key : *part) {
        keys.push_back({{"key", key.key}, {"base", key.base}, {"new", key.now}});
      }
    }
    all.push_back({{"points", difference.points}, {"keys", std::move(keys)}});
  }
  return all;
}

Json seeds_json(const std::vector<compare::LoneSeeds>& seeds) {
  Json all = Json::array();
  for (const compare::LoneSeeds& lone : seeds) {
    all.push_back({{"point", lone.point}, {"seeds", lone.seeds}});
  }
  return all;
}

Json lone_json(const std::vector<std::string>& points, const std::vector<std::string>& summaries,
               const std::vector<std::string>& metrics, const std::vector<compare::LoneSeeds>& seeds) {
  return {{"points", points}, {"summaries", summaries}, {"metrics", metrics}, {"seeds", seeds_json(seeds)}};
}

}  // namespace

std::string compare_json(const CompareReport& report) {
  const compare::Comparison& comparison = report.comparison;
  Json moves = Json::array();
  for (const Move& move : comparison.moves) {
    moves.push_back(move_json(move));
  }
  Json steps = Json::array();
  for (const compare::StepMove& move : comparison.step_moves) {
    steps.push_back({{"point", move.point},
                     {"verdict", move.regression ? "regression" : "changed"},
                     {"first", place_json(move.first, move.seed)}});
  }
  return json_text({{"base", file_json(report.base)},
                    {"new", file_json(report.now)},
                    {"regressions", report.regressions()},
                    {"summaries", std::move(moves)},
                    {"steps", std::move(steps)},
                    {"missing", lone_json(comparison.missing_points, comparison.missing_summaries,
                                          names_of(comparison.missing_metrics), comparison.missing_seeds)},
                    {"extra", lone_json(comparison.extra_points, comparison.extra_summaries,
                                        comparison.extra_metrics, comparison.extra_seeds)},
                    {"conditions", conditions_json(report.conditions)}});
}

}  // namespace kvr::cli
