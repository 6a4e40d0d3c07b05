#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/params.hpp"
#include "sim/config/text/tree.hpp"

namespace kvr::config {

/// Reads one value in full or reports what is wrong with it; `format_value` writes what this gives back.
std::optional<Value> read_value(const Node& node, const ParamSpec& spec, std::string_view key,
                                Problems& problems);

}  // namespace kvr::config
