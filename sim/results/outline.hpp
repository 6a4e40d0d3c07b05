#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/interfaces/axis_value.hpp"
#include "sim/interfaces/flash_device.hpp"
#include "sim/interfaces/purpose.hpp"
#include "sim/results/point_data.hpp"

namespace kvr {

struct PointResult {
  PointData data;
  std::string resolved_config;                ///< YAML
  std::vector<std::string> notes;             ///< what a reader must know: extrapolated, assumed, oracle
  bool keep_steps = true;                     ///< false: only the summaries are written
  std::vector<ModelError> model_errors = {};  ///< where a real device served the requests
  std::string variant = data.name();          ///< what points that differ in the seed alone have in common
  std::int64_t seed = 0;

  bool writes(Metric metric) const { return keep_steps && data.recorded(metric); }
};

/// The numbers that stand for a point; NaN where one has no value.
struct PointSummary {
  /// Of a tier of memory below the first, mean of a step.
  struct Tier {
    std::string name;
    double hit_rate = 0.0;
    double up_bytes = 0.0;
    double down_bytes = 0.0;
    double held_bytes = 0.0;
  };
  /// Of a policy's own: mean over the steps, of the sum over layers and heads where those add up.
  struct Figure {
    std::string name;
    std::string unit;
    double mean = 0.0;
  };

  std::vector<double> values;                  ///< of summary_table(), in its order
  std::array<double, kPurposes> critical_s{};  ///< of all steps; 0 for a purpose that the point does not have
  std::vector<Tier> tiers = {};
  std::vector<Figure> figures = {};
};

/// All of a finished point but the values of its metrics and figures: what tables and the axes of a file
/// take, small enough to be kept of every point of a sweep.
struct PointOutline {
  std::int64_t number = 0;  ///< its place among the points of its configuration
  std::string name;
  std::string variant;
  std::vector<AxisValue> axes;  ///< those that vary for it, in order, seeds apart
  std::int64_t seed = 0;
  std::string resolved_config;
  std::vector<std::string> notes;
  std::vector<ModelError> model_errors;
  std::int64_t steps = 0;
  std::vector<std::int64_t> layer_numbers;
  std::vector<std::int64_t> head_numbers;
  std::int64_t walked_sequences = 1;
  std::int64_t prefills = 0;
  std::vector<std::string> tier_names;
  std::vector<Metric> written;     ///< metrics that a results file has of it
  std::vector<OwnFigure> figures;  ///< likewise; without their values
  std::optional<UnitsOutline> units = {};
  PointSummary summary;
};

PointSummary summary_of(const PointData& data);
PointOutline outline_of(const PointResult& point);
/// Numbered in their order.
std::vector<PointOutline> outlines_of(const std::vector<PointResult>& points);
/// Of the shape that `outline` says, without values.
std::shared_ptr<PointData> empty_data(const PointOutline& outline);

}  // namespace kvr
