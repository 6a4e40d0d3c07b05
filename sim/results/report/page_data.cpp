#include "sim/results/report/page_data.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
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

bool has_values(const std::vector<double>& values) {
  return std::ranges::any_of(values, [](double value) { return !std::isnan(value); });
}

/// The steps of a point on the page, which datasets are added to one after another.
class PointOnPage {
 public:
  /// `latency` [steps]; empty: not known.
  PointOnPage(std::size_t point, std::vector<double> latency, std::size_t steps_per_bin)
      : steps_per_bin_(steps_per_bin),
        json_{{"point", point}, {"series", Json::array()}, {"maps", Json::array()}} {
    json_["quantiles"] = Json::array();
    if (!has_values(latency)) {
      return;
    }
    for (std::size_t place = 0; place < kQuantiles; ++place) {
      json_["quantiles"].push_back(
          quantile(latency, static_cast<double>(place) / static_cast<double>(kQuantiles - 1)));
    }
    typical_ = typical_steps(latency);
    json_["median"] = {{"step", typical_->median}, {"values", Json::array()}};
    json_["slowest"] = {{"step", typical_->slowest}, {"values", Json::array()}};
  }

  void add(const PointSteps& steps) {
    for (const std::vector<double>& series : steps.series) {
      json_["series"].push_back(binned(series, steps_per_bin_));
      if (typical_) {
        json_["median"]["values"].push_back(series[typical_->median]);
        json_["slowest"]["values"].push_back(series[typical_->slowest]);
      }
      has_values_ = has_values_ || has_values(series);
    }
    if (!steps.map.empty()) {
      json_["maps"].push_back(steps.map);
    }
  }

  bool has_any_value() const { return has_values_; }
  const Json& json() const { return json_; }

 private:
  std::size_t steps_per_bin_;
  std::optional<TypicalSteps> typical_;
  bool has_values_ = false;
  Json json_;
};

/// Numbers that a point takes beside its series: quantiles, two steps, maps.
std::size_t numbers_beside(const ResultFile& file, std::size_t series) {
  std::size_t numbers = kQuantiles + 2 * series;
  for (const ResultDataset* dataset : by_step(file)) {
    numbers += is_mapped(*dataset) ? file.axis("layer").size() * file.axis("kv_head").size() : 0;
  }
  return numbers;
}

std::map<std::size_t, PointOnPage> points_on_page(const ResultFile& file,
                                                  std::span<const std::size_t> with_steps,
                                                  const Thinning& thinning) {
  const ResultDataset* latency = file.find(kLatency, Origin::simulated);
  std::map<std::size_t, PointOnPage> points;
  for (const std::size_t point : with_steps.first(thinning.points)) {
    points.try_emplace(point, point, latency == nullptr ? std::vector<double>() : file.block(*latency, point),
                       thinning.steps_per_bin);
  }
  return points;
}

/// The means of every series of every point, and all of those points that have their steps on the page.
void add_steps(const ResultFile& file, std::span<const std::size_t> with_steps, PageData& data) {
  const std::vector<Series> series = series_of(file);
  Thinning thinning = thinned(with_steps.size(), series.size(), file.axis("step").size(),
                              numbers_beside(file, series.size()));
  thinning.points = series.empty() ? 0 : std::min(thinning.points, with_steps.size());
  std::map<std::size_t, PointOnPage> shown = points_on_page(file, with_steps, thinning);
  Json means = Json::array();
  Json maps = Json::array();
  for (const ResultDataset* dataset : by_step(file)) {
    for (std::size_t point = 0; point < file.points().size(); ++point) {
      const PointSteps steps = steps_of(file, *dataset, point);
      for (const std::vector<double>& one : steps.series) {
        means[point].push_back(mean(one));
      }
      if (const auto found = shown.find(point); found != shown.end()) {
        found->second.add(steps);
      }
    }
    if (is_mapped(*dataset)) {
      maps.push_back(description(*dataset));
    }
  }
  Json points = Json::array();
  for (const auto& [point, on_page] : shown) {
    if (on_page.has_any_value()) {
      points.push_back(point);
      data.steps.push_back(on_page.json());
    }
  }
  data.page["series"] = series_json(series);
  data.page["steps"] = {{"numbers", file.axis("step").numbers},
                        {"steps_per_bin", thinning.steps_per_bin},
                        {"asked", with_steps.size()},
                        {"room", thinning.points},
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
