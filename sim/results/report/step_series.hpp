#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/results/result_file.hpp"

namespace kvr::report {

/// One number per step of a dataset: of its own, or the mean over its layers, sequences and heads.
struct Series {
  const ResultDataset* dataset;
  std::string label;              ///< of its tier or window; empty: it has none
  std::vector<std::string> over;  ///< the dimensions that it is the mean over
};

/// Every series that the points of a file can have, in the order of its datasets.
std::vector<Series> series_of(const ResultFile& file);

/// The datasets that have a value for each step, and of these those that have one for each layer and head
/// too, which maps show.
std::vector<const ResultDataset*> by_step(const ResultFile& file);
bool is_mapped(const ResultDataset& dataset);

/// What the steps of one dataset and point come to.
struct PointSteps {
  std::vector<std::vector<double>> series;  ///< [series of the dataset][step]; NaN: no value
  std::vector<double> map;  ///< [layer * heads + head]: means over steps and sequences; empty: not mapped
};

/// Faster for all points of one dataset after one another than the other way round.
PointSteps steps_of(const ResultFile& file, const ResultDataset& dataset, std::size_t point);

/// How much of the steps a page has room for.
struct Thinning {
  std::size_t points;         ///< that have their steps on the page
  std::size_t steps_per_bin;  ///< 1: every step stands for itself
};

/// As many of `points` as there is room for when each keeps at least `kFewestBins` of its steps, and then as
/// many bins as there is room for; one point at least. A bin of several steps takes three numbers, and each
/// point takes `others` beside its series.
Thinning thinned(std::size_t points, std::size_t series, std::size_t steps, std::size_t others);

inline constexpr std::size_t kMostNumbers = 600'000;  ///< of all points with steps on a page, about 12 MB
inline constexpr std::size_t kFewestBins = 200;

/// Of each bin the least, the mean and the most: {"min": [...], "mean": [...], "max": [...]}; a list of
/// the values where a bin is one step. null: no value.
Json binned(const std::vector<double>& values, std::size_t steps_per_bin);

}  // namespace kvr::report
