#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/config/tree.hpp"
#include "sim/params.hpp"

namespace kvr::config {

/// The words of "l2|cosine".
std::vector<std::string_view> choices_of(const ParamDoc& info);

/// "1 to 256", "above 0s", "at most 1GiB"; empty when everything is in range.
std::string describe_range(const ParamSpec& spec);
/// What may be written: "an integer, 1 to 256".
std::string describe_allowed(const ParamSpec& spec);

/// Reads one value in full or reports what is wrong with it.
std::optional<Value> read_value(const Node& node, const ParamSpec& spec, std::string_view key,
                                Problems& problems);

/// Writes `value` so that `read_value` gives it back exactly; texts are not quoted.
std::string format_value(const Value& value, const ParamSpec& spec);

}  // namespace kvr::config
