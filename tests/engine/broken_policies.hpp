#pragma once

#include <string_view>

namespace kvr::test {

/// A clustering, a layout and a replacement policy for tests, registered under these names, whose parameters
/// make them break what the engine checks.
inline constexpr std::string_view kBrokenUnits = "test_broken_units";
inline constexpr std::string_view kBrokenLayout = "test_broken_layout";
inline constexpr std::string_view kBrokenReplacement = "test_broken_replacement";

}  // namespace kvr::test
