#pragma once

#include <string>
#include <vector>

#include "sim/config/points/axes.hpp"

namespace kvr::config {

/// Where a value of `key` goes: `trace: [a.h5]` is one of trace.path, and leaves all else of the trace.
std::vector<std::string> path_to(const std::string& key, const Node& value);

/// Gives every value of a key of the axis a text: the type of a component, the stem of a file, else the
/// value, and what differs where texts would be the same.
void call_values(Axis& axis, std::size_t key);

/// "budget=fixed": its part of a point's name.
std::string label_of(const AxisKey& key, const Assignment& assignment);

/// Gives every key a name: the last part of it, or as many as tell it from the others.
void name_axes(std::vector<Axis>& axes, bool seeds, Problems& problems);

}  // namespace kvr::config
