#pragma once

#include <memory>

#include "sim/config/resolve.hpp"
#include "sim/interfaces/scorer.hpp"
#include "traces/header.hpp"

namespace kvr {

/// The scorer of a stage for one set of heads, or one head. Throws InputError, without places, where its
/// parameters do not fit the trace.
std::unique_ptr<Scorer> make_scorer(const StageConfig& stage, const RunConfig& config,
                                    const trace::Header& header, HeadId head);

/// What the scorers, the queries of the prompt's end and the keys' codec need of a trace, all together.
/// Throws InputError, placed, with all that does not fit it.
TraceNeeds check_scorers(const RunConfig& config, const trace::Header& header);

}  // namespace kvr
