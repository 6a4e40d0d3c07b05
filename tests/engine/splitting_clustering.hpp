#pragma once

#include <string_view>

namespace kvr::test {

/// A clustering for tests, registered as kind clustering under this name. It does at odd moments all that the
/// interface allows: buffers entries, asks for loads, splits units as they are loaded or grow, several times
/// in one list, and gives the head or the tail of a unit away.
inline constexpr std::string_view kSplitting = "test_splitting";

}  // namespace kvr::test
