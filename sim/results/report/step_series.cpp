// series = for each dataset by step and each of its tiers or windows: one
// of a dataset and point: values of a step that differ in layer, sequence and head alone are one number of a
//   series, their mean; those that differ in step and sequence alone are one of a map
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

std::vector<std::vector<double>> series_of_block(const ResultDataset& dataset,
                                                 std::span<const double> block) {
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
  return series;
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

/// NaN where there is none, as `mean` has it.
double minimum(std::span<const double> values) {
  double least = kNan;
  for (const double value : values) {
    least = std::fmin(least, value);  // which passes NaN by
  }
  return least;
}

}  // namespace

std::vector<const ResultDataset*> by_step(const ResultFile& file) {
  std::vector<const ResultDataset*> datasets;
  for (const ResultDataset& dataset : file.datasets()) {
    if (dataset.dims.size() > 1 && dataset.dims[1] == "step") {
      datasets.push_back(&dataset);
    }
  }
  return datasets;
}

bool is_mapped(const ResultDataset& dataset) {
  return has(dataset, "step") && has(dataset, "layer") && has(dataset, "kv_head") && groups(dataset) == 1;
}

std::vector<Series> series_of(const ResultFile& file) {
  std::vector<Series> series;
  for (const ResultDataset* const from : by_step(file)) {
    const ResultDataset& dataset = *from;
    Series one{from, "", {}};
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

PointSteps steps_of(const ResultFile& file, const ResultDataset& dataset, std::size_t point) {
  const std::vector<double> block = file.block(dataset, point);
  return {series_of_block(dataset, block),
          is_mapped(dataset) ? map_of(dataset, block) : std::vector<double>()};
}

Thinning thinned(std::size_t points, std::size_t series, std::size_t steps, std::size_t others) {
  const std::size_t of_step = std::max<std::size_t>(1, series);
  const std::size_t least = of_step * std::min(steps, kNumbersOfBin * kFewestBins) + others;
  points = std::clamp<std::size_t>(kMostNumbers / std::max<std::size_t>(1, least), 1,
                                   std::max<std::size_t>(1, points));
  const std::size_t of_point = kMostNumbers / points;
  const std::size_t room = (of_point - std::min(others, of_point)) / of_step;  // numbers of a series
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
