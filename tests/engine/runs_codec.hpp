#pragma once

#include <string_view>

namespace kvr::test {

/// A codec for tests, registered as kind codec under this name: exact rows in blobs of several lengths. Its
/// parameters make it break what the engine checks.
inline constexpr std::string_view kRuns = "test_runs";

}  // namespace kvr::test
