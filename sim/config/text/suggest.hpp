#pragma once

#include <span>
#include <string>
#include <string_view>

namespace kvr::config {

/// The word of `known` that `given` is probably short for or a slip of; empty when none is near.
std::string_view nearest(std::string_view given, std::span<const std::string_view> known);

/// "did you mean 'x'? allowed: x, y, z" or, when nothing is near, "allowed: x, y, z".
std::string suggestion(std::string_view given, std::span<const std::string_view> known);

}  // namespace kvr::config
