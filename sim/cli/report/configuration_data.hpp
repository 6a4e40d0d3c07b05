#pragma once

#include "sim/base/json.hpp"
#include "sim/results/result_file.hpp"

namespace kvr::cli {

/// The resolved configurations of a file's points, by dotted key:
///
///   {"common": {key: value}, "differing": [{"key", "values": [points], null where a point has no such key}]}
///
/// Throws InputError where one cannot be read.
Json configuration_data(const ResultFile& file);

}  // namespace kvr::cli
