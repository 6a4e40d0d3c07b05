#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/results/result_file.hpp"

namespace kvr::compare {

/// A value of a dataset by step, layer and so on that is not the same in two files.
struct Place {
  std::string dataset;
  /// {dimension, what stands along it}; empty: the dimensions themselves are not the same.
  std::vector<std::pair<std::string, std::string>> at;
  double base;  ///< NaN also where the file has no such place
  double now;
};

/// One point of two files, as they are numbered in them.
struct PointPair {
  std::size_t base;
  std::size_t now;
};

/// The first value in which the dataset that is `base` in one file and `now` in the other differs, in the
/// order in which the steps go by; none: all are the same. Places are those of the labels, not of the
/// numbers: layers, heads and tiers may be others in each file. NaN equals NaN.
std::optional<Place> first_difference(const ResultFile& base_file, const ResultDataset& base,
                                      const ResultFile& now_file, const ResultDataset& now, PointPair point);

}  // namespace kvr::compare
