#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "sim/config/resolve.hpp"
#include "traces/reader.hpp"

namespace kvr {

/// Whether a stage acts in a captured layer.
bool runs_in(const StageConfig& stage, std::int64_t layer, const trace::Header& header);

/// Where a stage finds what it takes.
struct StageSource {
  std::size_t stage;
  std::int64_t layer;  ///< captured
};

/// For captured `layer`, in which `stage` takes: the stage that it names, in this layer or the nearest
/// captured one below; none where there is none.
std::optional<StageSource> find_source(const RunConfig& config, std::size_t stage, std::int64_t layer,
                                       const trace::Header& header);
/// The same of stages that were checked.
StageSource source_of(const RunConfig& config, std::size_t stage, std::int64_t layer,
                      const trace::Header& header);

/// Throws InputError, with all that is wrong, where a stage asks for what cannot be done or what `trace`,
/// which `sequence` replays, does not have; TraceNeeds apart.
void check_stages(const RunConfig& config, const SequenceConfig& sequence, const trace::Reader& trace);

}  // namespace kvr
