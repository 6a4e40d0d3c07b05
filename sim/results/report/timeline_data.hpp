#pragma once

#include <cstddef>
#include <filesystem>

#include "sim/base/json.hpp"
#include "sim/results/result_file.hpp"

namespace kvr::report {

inline constexpr std::size_t kMostSpans = 20'000;  ///< of a page, which draws some thousands at once

/// What `kvreplay run --timeline` wrote to `path`, for a page about `results`:
///
///   {"file": name, "left_out": steps that there is no room for, "tracks": names, "names": of operations,
///    "points": [{"point": place in results, "steps": [{"step", "position", "latency_us", "spans": [[track,
///    name, begin_us from the step's begin, duration_us, layer, critical 0 or 1, requests, bytes], ...]}]}]}
///
/// Throws InputError where it is no such file, or of another run: every point must be one of the results, and
/// every step take as long as these say.
Json timeline_data(const std::filesystem::path& path, const ResultFile& results);

}  // namespace kvr::report
