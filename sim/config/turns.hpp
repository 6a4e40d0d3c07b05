#pragma once

#include <string_view>

#include "sim/config/resolved.hpp"
#include "sim/config/text/tree.hpp"

namespace kvr::config {

/// Every turn of a checked list must do one thing.
void check_turns(const Resolved& turns, std::string_view path, Problems& problems);

}  // namespace kvr::config
