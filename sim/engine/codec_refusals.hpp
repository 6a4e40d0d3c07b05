#pragma once

#include "sim/config/resolve.hpp"
#include "sim/engine/heads/attention/set_codec.hpp"
#include "sim/interfaces/layout.hpp"

namespace kvr {

/// Throws InputError with all that cannot stand beside the codecs of the configuration: what moves keys or
/// reads entries where they lie, beside codecs that keep state; what takes entries to be of one size, beside
/// codecs whose sizes vary. `layout`: as layouts will be made.
void refuse_codecs(const RunConfig& config, const StoreCodecs& codecs, const Layout::Context& layout);

}  // namespace kvr
