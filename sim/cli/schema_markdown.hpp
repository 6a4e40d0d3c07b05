#pragma once

#include <string>

#include "sim/base/registry.hpp"

namespace kvr::cli {

/// Every key that a configuration may have, as the page docs/configuration.md: a section for each map and
/// each list of them, a row for each key. What components take besides `type` stands in policies/README.md.
std::string schema_markdown(const Catalogue& catalogue = Catalogue::instance());

}  // namespace kvr::cli
