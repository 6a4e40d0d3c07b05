#pragma once

#include <string>

#include "sim/base/registry.hpp"

namespace kvr::config {

/// JSON Schema (draft 2020-12) of every file under configs/, for editors. The root requires nothing, because
/// files that are only included are partial; completeness is checked by `load_config`.
std::string json_schema(const Catalogue& catalogue = Catalogue::instance());

}  // namespace kvr::config
