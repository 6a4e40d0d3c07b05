#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/base/params.hpp"

namespace kvr {

/// The words of "l2|cosine".
std::vector<std::string_view> choices_of(const ParamDoc& info);

/// "1 to 256", "above 0s", "at most 1GiB"; empty when everything is in range.
std::string describe_range(const ParamSpec& spec);
/// What may be written: "an integer, 1 to 256".
std::string describe_allowed(const ParamSpec& spec);
/// What may be written for a whole number that passes through a double.
std::string describe_exact_integers(const ParamSpec& spec);

/// Writes `value` as a configuration does; texts are not quoted.
std::string format_value(const Value& value, const ParamSpec& spec);

}  // namespace kvr
