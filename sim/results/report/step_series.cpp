// series = for each dataset by step and each of its tiers or windows: one
// of a point:
//   for each dataset: read its block once; values of a step that differ in layer, sequence and head alone are
//     one number of a series, their mean; those that differ in step and sequence alone are one of a map
#include "sim/results/report/step_series.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>
#include <span>

#include "sim/results/statistics.hpp"

namespace kvr::report {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kNumbersOfBin = 3;

/// Of a dimension of whose places each has a series of its own.
bool is_told_apart(const std::string& dim) {
  return dim == "tier" || dim == "window";
}

bool has(const ResultDataset& dataset, const std::string& dim) {
  return std::ranges::find(dataset.dims, dim) != dataset.dims.end();
}

bool is_by_step(const ResultDataset& dataset) {
  return dataset.dims.size() > 1 && dataset.dims[1] == "step";
}

std::size_t extent(const ResultDataset& dataset, std::size_t axis) {
  return static_cast<std::size_t>(dataset.shape[axis]);
}

/// Values of a step.
std::size_t row_size(const ResultDataset& dataset) {
  std::size_t size = 1;
  for (std::size_t axis = 2; axis < dataset.dims.size(); ++axis) {
    size *= extent(dataset, axis);
  }
  return size;
}

/// Values of a step that are told apart.
std::size_t groups(const ResultDataset& dataset) {
  std::size_t count = 1;
  for (std::size_t axis = 2; axis < dataset.dims.size(); ++axis) {
    count *= is_told_apart(dataset.dims[axis]) ? extent(dataset, axis) : 1;
  }
  return count;
}

/// Of each value of a step, its place along the dimensions that `counts`, in C order.
template <class Counts>
std::vector<std::size_t> places(const ResultDataset& dataset, Counts counts) {
  std::vector<std::size_t> found(row_size(dataset));
  for (std::size_t value = 0; value < found.size(); ++value) {
    std::size_t rest = value;
    std::size_t stride = 1;
    for (std::size_t axis = dataset.dims.size(); axis-- > 2;) {
      const std::size_t index = rest % extent(dataset, axis);
      rest /= extent(dataset, axis);
      if (counts(dataset.dims[axis])) {
        found[value] += index * stride;
        stride *= extent(dataset, axis);
      }
    }
  }
  return found;
}

std::vector<double> means(const std::vector<std::vector<double>>& values) {
  std::vector<double> result;
  std::ranges::transform(values, std::back_inserter(result), [](const auto& of_one) { return mean(of_one); });
  return result;
}

void add_series(const ResultDataset& dataset, std::span<const double> block, PointSteps& steps) {
  const std::size_t row = row_size(dataset);
  const std::vector<std::size_t> group_of = places(dataset, is_told_apart);
  std::vector<std::vector<double>> series(groups(dataset));
  for (std::size_t begin = 0; begin < block.size(); begin += row) {
    if (row == 1) {
      series[0].push_back(block[begin]);
      continue;
    }
    std::vector<std::vector<double>> of_groups(series.size());
    for (std::size_t value = 0; value < row; ++value) {
      of_groups[group_of[value]].push_back(block[begin + value]);
    }
    for (std::size_t group = 0; group < series.size(); ++group) {
      series[group].push_back(mean(of_groups[group]));
    }
  }
  std::ranges::move(series, std::back_inserter(steps.series));
}

std::vector<double> map_of(const ResultDataset& dataset, std::span<const double> block) {
  const std::size_t row = row_size(dataset);
  const std::vector<std::size_t> cell_of =
      places(dataset, [](const std::string& dim) { return dim == "layer" || dim == "kv_head"; });
  std::vector<std::vector<double>> cells(*std::ranges::max_element(cell_of) + 1);
  for (std::size_t value = 0; value < block.size(); ++value) {
    cells[cell_of[value % row]].push_back(block[value]);
  }
  return means(cells);
}

bool is_mapped(const ResultDataset& dataset) {
  return is_by_step(dataset) && has(dataset, "layer") && has(dataset, "kv_head") && groups(dataset) == 1;
}

/// NaN where there is none, as `mean` has it.
double minimum(std::span<const double> values) {
  double least = kNan;
  for (const double value : values) {
    least = std::fmin(least, value);  // which passes NaN by
  }
  return least;
}

}  // namespace

std::vector<Series> series_of(const ResultFile& file) {
  std::vector<Series> series;
  for (const ResultDataset& dataset : file.datasets()) {
    if (!is_by_step(dataset)) {
      continue;
    }
    Series one{&dataset, "", {}};
    std::vector<std::string> labels{""};
    for (std::size_t axis = 2; axis < dataset.dims.size(); ++axis) {
      const std::string& dim = dataset.dims[axis];
      if (!is_told_apart(dim)) {
        one.over.push_back(dim);
        continue;
      }
      labels.clear();
      for (std::size_t place = 0; place < extent(dataset, axis); ++place) {
        labels.push_back(file.axis(dim).label(place));
      }
    }
    for (const std::string& label : labels) {
      one.label = label;
      series.push_back(one);
    }
  }
  return series;
}

std::vector<const ResultDataset*> mapped(const ResultFile& file) {
  std::vector<const ResultDataset*> datasets;
  for (const ResultDataset& dataset : file.datasets()) {
    if (is_mapped(dataset)) {
      datasets.push_back(&dataset);
    }
  }
  return datasets;
}

PointSteps steps_of(const ResultFile& file, std::size_t point) {
  PointSteps steps;
  for (const ResultDataset& dataset : file.datasets()) {
    if (!is_by_step(dataset)) {
      continue;
    }
    const std::vector<double> block = file.block(dataset, point);
    add_series(dataset, block, steps);
    if (is_mapped(dataset)) {
      steps.maps.push_back(map_of(dataset, block));
    }
  }
  return steps;
}

Thinning thinned(std::size_t points, std::size_t series, std::size_t steps) {
  const std::size_t numbers_of_step = std::max<std::size_t>(1, series);
  const std::size_t least = numbers_of_step * std::min(steps, kNumbersOfBin * kFewestBins);
  points = std::min(points, std::max<std::size_t>(1, kMostNumbers / std::max<std::size_t>(1, least)));
  const std::size_t room = kMostNumbers / std::max<std::size_t>(1, points * numbers_of_step);
  if (steps <= std::max(room, kFewestBins)) {
    return {points, 1};
  }
  const std::size_t bins = std::max(kFewestBins, room / kNumbersOfBin);
  return {points, (steps + bins - 1) / bins};
}

Json binned(const std::vector<double>& values, std::size_t steps_per_bin) {
  if (steps_per_bin == 1) {
    return values;
  }
  Json bins = {{"min", Json::array()}, {"mean", Json::array()}, {"max", Json::array()}};
  for (std::size_t begin = 0; begin < values.size(); begin += steps_per_bin) {
    const std::span bin = std::span(values).subspan(begin, std::min(steps_per_bin, values.size() - begin));
    bins["min"].push_back(minimum(bin));
    bins["mean"].push_back(mean(bin));
    bins["max"].push_back(maximum(bin));
  }
  return bins;
}

}  // namespace kvr::report
