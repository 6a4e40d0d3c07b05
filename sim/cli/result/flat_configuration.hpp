#pragma once

#include <map>
#include <string>

#include "sim/results/result_file.hpp"

namespace kvr::cli {

/// Values by dotted key.
using FlatConfiguration = std::map<std::string, std::string>;

/// The resolved configuration of a point of `file`. Throws InputError where it cannot be read.
FlatConfiguration flat_configuration(const ResultFile& file, const ResultPoint& point);

}  // namespace kvr::cli
