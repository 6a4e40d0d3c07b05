#pragma once

#include <cstdint>
#include <string_view>

#include "sim/config/resolve.hpp"
#include "sim/engine/heads/attention/set_codec.hpp"
#include "sim/interfaces/codec.hpp"
#include "traces/header.hpp"

namespace kvr {

/// Of the sets of a captured layer. It looks into `header`, which must outlive it.
RowsOrigin rows_origin(const trace::Header& header, std::int64_t layer, const StoreCodecs& codecs);

/// Throws InputError, placed at `key` of the configuration, unless `codec` can be made for rows of every
/// captured layer: what was fitted beforehand may be of another model, and keys may not be turned back.
void check_head_codec(const RunConfig& config, std::string_view key, const Codec& codec, RowsOf rows,
                      const trace::Header& header);

}  // namespace kvr
