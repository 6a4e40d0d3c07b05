#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/config/stage_config.hpp"

namespace kvr::config {

/// What commas separate, without blanks around it.
std::vector<std::string> words_of(std::string_view text);

/// "all", or numbers and ranges: "0..1", "2.." (to the last), "0..3,8". Nothing where it is neither.
std::optional<LayerSet> parse_layers(std::string_view text);

}  // namespace kvr::config
