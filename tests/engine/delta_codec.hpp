#pragma once

#include <string_view>

namespace kvr::test {

/// A codec for tests, registered as kind codec under this name: rows as differences to earlier ones. Its
/// parameters make it break what the engine checks.
inline constexpr std::string_view kDelta = "test_delta";
/// Rows as fp16, kept as a codec with state keeps them.
inline constexpr std::string_view kKept = "test_kept";

}  // namespace kvr::test
