#pragma once

#include <string>

namespace kvr {

/// What the tables of recorded units hold, in Markdown.
std::string units_markdown();

}  // namespace kvr
