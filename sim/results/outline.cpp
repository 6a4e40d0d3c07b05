#include "sim/results/outline.hpp"

#include <algorithm>
#include <limits>
#include <span>

#include "sim/results/statistics.hpp"

namespace kvr {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Mean over the steps; no value where arithmetic failed.
double tier_mean(const PointData& data, Metric metric, std::size_t tier) {
  double all = data.broken(metric) ? kNan : 0.0;
  for (std::int64_t step = 0; step < data.steps(); ++step) {
    all += data.at_tier(metric, step, static_cast<std::int64_t>(tier));
  }
  return all / static_cast<double>(data.steps());
}

PointSummary::Tier tier_of(const PointData& data, std::size_t tier) {
  const double asked = tier_mean(data, Metric::tier_asked_bytes, tier);
  const double hit = tier_mean(data, Metric::tier_hit_bytes, tier);
  return {.name = data.tier_names()[tier],
          .hit_rate = asked > 0.0 ? hit / asked : kNan,
          .up_bytes = tier_mean(data, Metric::tier_up_bytes, tier),
          .down_bytes = tier_mean(data, Metric::tier_down_bytes, tier),
          .held_bytes = tier_mean(data, Metric::tier_held_bytes, tier)};
}

double mean_of(const OwnFigure& figure, std::int64_t steps) {
  if (!figure.adds_up) {
    return mean(figure.values);
  }
  std::vector<double> sums;
  const std::size_t row = figure.values.size() / static_cast<std::size_t>(steps);
  for (std::size_t begin = 0; begin < figure.values.size(); begin += row) {
    sums.push_back(sum(std::span(figure.values).subspan(begin, row)));
  }
  return mean(sums);
}

double critical_s(const PointData& data, Metric metric) {
  if (!data.recorded(metric)) {
    return 0.0;
  }
  return data.broken(metric) ? kNan : sum(data.values(metric));
}

std::vector<OwnFigure> without_values(std::span<const OwnFigure> figures) {
  std::vector<OwnFigure> outlines(figures.begin(), figures.end());
  std::ranges::for_each(outlines, [](OwnFigure& figure) { figure.values = {}; });
  return outlines;
}

}  // namespace

PointSummary summary_of(const PointData& data) {
  PointSummary summary;
  for (const SummaryInfo& info : summary_table()) {
    summary.values.push_back(info.compute(data));
  }
  for (std::size_t purpose = 0; purpose < kPurposes; ++purpose) {
    summary.critical_s[purpose] = critical_s(data, critical_metric(static_cast<Purpose>(purpose)));
  }
  for (std::size_t tier = 0; tier < data.tier_names().size(); ++tier) {
    summary.tiers.push_back(tier_of(data, tier));
  }
  for (const OwnFigure& figure : data.figures()) {
    summary.figures.push_back({figure.name, figure.unit, mean_of(figure, data.steps())});
  }
  return summary;
}

PointOutline outline_of(const PointResult& point) {
  const PointData& data = point.data;
  PointOutline outline{.number = 0,
                       .name = data.name(),
                       .variant = point.variant,
                       .axes = {},
                       .seed = point.seed,
                       .resolved_config = point.resolved_config,
                       .notes = point.notes,
                       .model_errors = point.model_errors,
                       .steps = data.steps(),
                       .layer_numbers = {data.layer_numbers().begin(), data.layer_numbers().end()},
                       .head_numbers = {data.head_numbers().begin(), data.head_numbers().end()},
                       .walked_sequences = data.walked_sequences(),
                       .prefills = data.prefills(),
                       .tier_names = {data.tier_names().begin(), data.tier_names().end()},
                       .written = {},
                       .figures = {},
                       .summary = summary_of(data)};
  for (const MetricInfo& metric : metric_table()) {
    if (point.writes(metric.id)) {
      outline.written.push_back(metric.id);
    }
  }
  if (data.units() != nullptr) {
    outline.units = outline_of(*data.units());
  }
  if (point.keep_steps) {
    outline.figures = without_values(data.figures());
  }
  return outline;
}

std::shared_ptr<PointData> empty_data(const PointOutline& outline) {
  auto data = std::make_shared<PointData>(outline.name, outline.steps, std::ssize(outline.layer_numbers),
                                          std::ssize(outline.head_numbers));
  data->set_layer_numbers(outline.layer_numbers);
  data->set_head_numbers(outline.head_numbers);
  data->set_sequences(outline.walked_sequences, outline.walked_sequences);
  data->set_tier_names(outline.tier_names);
  data->set_prefills(outline.prefills);
  return data;
}

std::vector<PointOutline> outlines_of(const std::vector<PointResult>& points) {
  std::vector<PointOutline> outlines;
  for (const PointResult& point : points) {
    outlines.push_back(outline_of(point));
    outlines.back().number = std::ssize(outlines) - 1;
  }
  return outlines;
}

}  // namespace kvr
