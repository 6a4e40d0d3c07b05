#pragma once

#include <string_view>

#include "sim/base/registry.hpp"

namespace kvr::test {

/// A few implementations of each kind, so that messages do not change whenever a policy is added.
const Catalogue& catalogue();

/// A complete configuration in 15 lines.
extern const std::string_view kGood;

}  // namespace kvr::test
