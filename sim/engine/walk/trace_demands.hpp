#pragma once

#include <cstdint>

#include "sim/config/resolve.hpp"
#include "sim/interfaces/scorer.hpp"
#include "traces/reader.hpp"

namespace kvr {

/// Which decode steps of a trace a point replays.
struct StepRange {
  std::int64_t first_position = 0;  ///< entries before it are the prompt, as the policies see it
  std::int64_t count = 0;
};

/// Throws InputError when the trace is too short.
StepRange step_range(const RunConfig& config, const SequenceConfig& sequence, const trace::Header& header);

/// Throws InputError, with every layer that lacks it, unless `trace`, which `sequence` replays from a prompt
/// of `prompt` entries on, has what a policy needs.
void check_needs(const TraceNeeds& needs, const RunConfig& config, const SequenceConfig& sequence,
                 std::int64_t prompt, const trace::Reader& trace);

}  // namespace kvr
