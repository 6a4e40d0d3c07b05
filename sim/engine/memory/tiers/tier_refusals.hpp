#pragma once

#include "sim/config/resolve.hpp"

namespace kvr {

/// Throws InputError where the configured tiers of memory below the first cannot stand beside the rest of the
/// configuration: what is on flash while other layers compute would have to pass them, and no oracle knows
/// what a tier between is asked for.
void refuse_tiers(const RunConfig& config);

}  // namespace kvr
