#pragma once

#include <string>

#include "sim/base/params.hpp"

namespace kvr::cli {

/// What a parameter is, as cells of tables.
std::string type_cell(const ParamSpec& spec);
/// The default as a configuration writes it, or "required".
std::string default_cell(const ParamSpec& spec);
/// Choices, or the range; empty where everything of its type is allowed.
std::string allowed_cell(const ParamSpec& spec);

}  // namespace kvr::cli
