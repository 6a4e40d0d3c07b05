#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "sim/config/resolve.hpp"
#include "sim/engine/timing/timeline.hpp"
#include "sim/results/writer.hpp"
#include "traces/reader.hpp"

namespace kvr {

/// Called after every step of every point with the number of steps done and to do, over all points. A point
/// whose policies need the future is replayed twice, and its steps count twice.
using Progress = std::function<void(std::int64_t done, std::int64_t total)>;

/// Throws InputError with all for which the point asks and the trace or the model does not have, or that its
/// parts refuse, as far as that can be seen before the replay; costs next to nothing.
void check_point(const RunConfig& config, const trace::Reader& trace);

/// Replays one point of a configuration on its trace.
///
/// Throws InputError when the configuration asks for what the trace does not have, InternalError when a
/// conservation check fails. `timeline` may be null.
PointResult replay(const RunConfig& config, const trace::Reader& trace, const Progress& progress,
                   Timeline* timeline);

/// Whether two points take the same steps of one trace, so that they can be replayed together.
bool same_walk(const RunConfig& a, const RunConfig& b);

/// Replays points of the `same_walk`, each step for all of them before the next: its rows are read and its
/// exact attention is computed once. Results, in order, are those of `replay`, bit for bit, but for the times
/// of this machine. Memory grows with the points.
std::vector<PointResult> replay_together(std::span<const RunConfig> points, const trace::Reader& trace,
                                         const Progress& progress, Timeline* timeline);

}  // namespace kvr
