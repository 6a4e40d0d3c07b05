#include "sim/results/report/page_data.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <string_view>
#include <utility>
#include <variant>

#include "sim/results/compare/directions.hpp"
#include "sim/results/report/step_series.hpp"
#include "sim/results/statistics.hpp"

namespace kvr::report {
namespace {

constexpr std::string_view kLatency = "latency_s";
constexpr std::size_t kQuantiles = 101;

Json better_json(std::string_view summary) {
  switch (compare::better_of(summary)) {
    case compare::Better::higher:
      return "higher";
    case compare::Better::lower:
      return "lower";
    case compare::Better::unknown:
      return nullptr;
  }
  return nullptr;
}

Json description(const ResultDataset& dataset) {
  return {{"name", dataset.name},       {"unit", dataset.unit},     {"long_name", dataset.long_name},
          {"formula", dataset.formula}, {"policy", dataset.policy}, {"host", dataset.origin == Origin::host}};
}

/// A summary with its place in the table of summaries, which is the order of reading.
struct Summary {
  const ResultDataset* dataset;
  std::size_t rank;
  std::vector<double> values;  ///< [points]
};

std::vector<Summary> summaries_of(const ResultFile& file) {
  std::vector<Summary> summaries;
  for (const ResultDataset& dataset : file.datasets()) {
    if (dataset.is_summary()) {
      const auto row = std::ranges::find(summary_table(), dataset.name, &SummaryInfo::name);
      summaries.push_back(
          {&dataset, static_cast<std::size_t>(row - summary_table().begin()), file.summary(dataset)});
    }
  }
  std::ranges::stable_sort(summaries, {}, &Summary::rank);
  return summaries;
}

Json summaries_json(const std::vector<Summary>& summaries) {
  Json list = Json::array();
  for (const Summary& summary : summaries) {
    Json one = description(*summary.dataset);
    const bool known = summary.rank < summary_table().size();
    one["heading"] = known ? std::string(summary_table()[summary.rank].heading) : summary.dataset->name;
    one["overview"] = known && summary_table()[summary.rank].overview;
    one["better"] = better_json(summary.dataset->name);
    one["values"] = summary.values;
    list.push_back(std::move(one));
  }
  return list;
}

/// Points that differ in the seed alone, with their means and half the 95 % intervals of these.
Json variants_json(const ResultFile& file, const std::vector<Summary>& summaries) {
  std::vector<std::string> names;
  std::map<std::string, std::vector<std::size_t>> points_of;
  for (std::size_t point = 0; point < file.points().size(); ++point) {
    const std::string& name = file.points()[point].variant;
    if (points_of[name].empty()) {
      names.push_back(name);
    }
    points_of[name].push_back(point);
  }
  Json list = Json::array();
  for (const std::string& name : names) {
    const std::vector<std::size_t>& points = points_of[name];
    Json mean_of = Json::array();
    Json half_width = Json::array();
    for (const Summary& summary : summaries) {
      std::vector<double> values;
      std::ranges::transform(points, std::back_inserter(values),
                             [&](std::size_t point) { return summary.values[point]; });
      const MeanInterval interval = mean_interval(values);
      mean_of.push_back(interval.mean);
      half_width.push_back(interval.half_width);
    }
    list.push_back({{"name", points.size() == 1 ? file.points()[points.front()].name : name},
                    {"points", points},
                    {"mean", std::move(mean_of)},
                    {"half_width", std::move(half_width)}});
  }
  return list;
}

/// Each note once.
std::vector<std::string> notes_of(const ResultFile& file) {
  std::vector<std::string> notes;
  std::set<std::string_view> known;
  for (const ResultPoint& point : file.points()) {
    for (const std::string& note : point.notes) {
      if (known.insert(note).second) {
        notes.push_back(note);
      }
    }
  }
  return notes;
}

Json errors_json(const ResultPoint& point) {
  Json list = Json::array();
  for (const ModelError& error : point.model_errors) {
    list.push_back({{"model", error.model},
                    {"batches", error.batches},
                    {"median", error.median},
                    {"p95", error.p95},
                    {"p99", error.p99},
                    {"total_time", error.total_time}});
  }
  return list;
}

Json points_json(const ResultFile& file, const std::vector<std::string>& notes) {
  Json list = Json::array();
  for (const ResultPoint& point : file.points()) {
    Json axes = Json::object();
    for (const AxisValue& axis : point.axes) {
      std::visit([&](const auto& value) { axes[axis.axis] = value; }, axis.value);
    }
    Json numbers = Json::array();
    for (const std::string& note : point.notes) {
      numbers.push_back(std::ranges::find(notes, note) - notes.begin());
    }
    list.push_back({{"name", point.name},
                    {"variant", point.variant},
                    {"seed", point.seed},
                    {"axes", std::move(axes)},
                    {"notes", std::move(numbers)},
                    {"model_errors", errors_json(point)}});
  }
  return list;
}

Json axes_json(const ResultFile& file) {
  Json list = Json::array();
  std::set<std::string_view> known;
  for (const ResultPoint& point : file.points()) {
    for (const AxisValue& axis : point.axes) {
      if (known.insert(axis.axis).second) {
        list.push_back({{"name", axis.axis}, {"key", axis.key}, {"unit", axis.unit}});
      }
    }
  }
  return list;
}

Json series_json(const std::vector<Series>& series) {
  Json list = Json::array();
  for (const Series& one : series) {
    Json described = description(*one.dataset);
    described["label"] = one.label;
    described["over"] = one.over;
    list.push_back(std::move(described));
  }
  return list;
}

/// Of what is read in, by prompt or turn; [points][prefills].
Json prefills_json(const ResultFile& file) {
  Json list = Json::array();
  for (const ResultDataset& dataset : file.datasets()) {
    if (dataset.dims.size() == 2 && dataset.dims[1] == "prefill") {
      Json one = description(dataset);
      for (std::size_t point = 0; point < file.points().size(); ++point) {
        one["values"].push_back(file.block(dataset, point));
      }
      list.push_back(std::move(one));
    }
  }
  return list;
}

/// The step whose value is the middle one, the lower of two, and the one whose is most; the first of equals.
struct TypicalSteps {
  std::size_t median;
  std::size_t slowest;
};

TypicalSteps typical_steps(const std::vector<double>& latency) {
  std::vector<std::size_t> by_value;
  for (std::size_t step = 0; step < latency.size(); ++step) {
    if (!std::isnan(latency[step])) {
      by_value.push_back(step);
    }
  }
  std::ranges::stable_sort(by_value, {}, [&](std::size_t step) { return latency[step]; });
  if (by_value.empty()) {
    return {0, 0};
  }
  const auto slowest =
      std::ranges::find(by_value, latency[by_value.back()], [&](std::size_t step) { return latency[step]; });
  return {by_value[(by_value.size() - 1) / 2], *slowest};
}

Json step_json(const std::vector<std::vector<double>>& series, std::size_t step) {
  Json values = Json::array();
  for (const std::vector<double>& one : series) {
    values.push_back(one[step]);
  }
  return {{"step", step}, {"values", std::move(values)}};
}

Json point_steps_json(std::size_t point, const PointSteps& steps, const std::vector<double>& latency,
                      std::size_t steps_per_bin) {
  Json json = {{"point", point}, {"series", Json::array()}, {"maps", steps.maps}};
  for (const std::vector<double>& one : steps.series) {
    json["series"].push_back(binned(one, steps_per_bin));
  }
  json["quantiles"] = Json::array();
  for (std::size_t place = 0; place < kQuantiles && !latency.empty(); ++place) {
    json["quantiles"].push_back(
        quantile(latency, static_cast<double>(place) / static_cast<double>(kQuantiles - 1)));
  }
  const TypicalSteps typical = typical_steps(latency);
  if (!latency.empty()) {
    json["median"] = step_json(steps.series, typical.median);
    json["slowest"] = step_json(steps.series, typical.slowest);
  }
  return json;
}

/// Where the latency stands; series.size() where results have none.
std::size_t latency_place(const std::vector<Series>& series) {
  const auto found =
      std::ranges::find_if(series, [](const Series& one) { return one.dataset->name == kLatency; });
  return static_cast<std::size_t>(found - series.begin());
}

bool has_values(const std::vector<double>& values) {
  return std::ranges::any_of(values, [](double value) { return !std::isnan(value); });
}

/// The means of every series of every point, and all of those points that have their steps on the page.
void add_steps(const ResultFile& file, std::span<const std::size_t> with_steps, PageData& data) {
  const std::vector<Series> series = series_of(file);
  const Thinning thinning = thinned(with_steps.size(), series.size(), file.axis("step").size());
  const std::set<std::size_t> shown(
      with_steps.begin(),
      with_steps.begin() + static_cast<std::ptrdiff_t>(series.empty() ? 0 : thinning.points));
  const std::size_t latency = latency_place(series);
  Json means = Json::array();
  Json points = Json::array();
  for (std::size_t point = 0; point < file.points().size() && !series.empty(); ++point) {
    const PointSteps steps = steps_of(file, point);
    Json means_of_point = Json::array();
    for (const std::vector<double>& one : steps.series) {
      means_of_point.push_back(mean(one));
    }
    means.push_back(std::move(means_of_point));
    if (shown.contains(point) && std::ranges::any_of(steps.series, has_values)) {
      const std::vector<double> latencies = latency < series.size() && has_values(steps.series[latency])
                                                ? steps.series[latency]
                                                : std::vector<double>();
      data.steps.push_back(point_steps_json(point, steps, latencies, thinning.steps_per_bin));
      points.push_back(point);
    }
  }
  Json maps = Json::array();
  for (const ResultDataset* dataset : mapped(file)) {
    maps.push_back(description(*dataset));
  }
  data.page["series"] = series_json(series);
  data.page["steps"] = {{"numbers", file.axis("step").numbers},
                        {"steps_per_bin", thinning.steps_per_bin},
                        {"asked", with_steps.size()},
                        {"points", std::move(points)},
                        {"means", std::move(means)},
                        {"maps", std::move(maps)},
                        {"layers", file.axis("layer").numbers},
                        {"heads", file.axis("kv_head").numbers}};
}

}  // namespace

PageData page_data(const ResultFile& file, std::span<const std::size_t> with_steps) {
  PageData data;
  const std::vector<Summary> summaries = summaries_of(file);
  const std::vector<std::string> notes = notes_of(file);
  Json provenance = Json::object();
  for (const auto& [name, value] : file.provenance()) {
    provenance[name] = value;
  }
  data.page = {{"file", file.path().filename().string()},
               {"complete", file.complete()},
               {"points_planned", file.points_planned()},
               {"provenance", std::move(provenance)},
               {"axes", axes_json(file)},
               {"points", points_json(file, notes)},
               {"notes", notes},
               {"summaries", summaries_json(summaries)},
               {"variants", variants_json(file, summaries)},
               {"prefills", prefills_json(file)}};
  add_steps(file, with_steps, data);
  return data;
}

}  // namespace kvr::report
