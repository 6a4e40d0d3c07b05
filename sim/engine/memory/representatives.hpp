#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/engine/heads/head_policies.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// Where a layer's representatives lie on flash when a schedule keeps them there: every head in a region of
/// its own above the layer's entries, unit after unit. All units of a head take the same room, what the
/// scorer keeps over the number of units, times `dim_ratio`.

/// Appends one extent for each head that has any.
void read_all_representatives(std::span<const HeadPolicies> heads, double dim_ratio,
                              std::vector<Extent>& reads);

/// Appends those of the units that the heads' last changes touched.
void locate_changed_representatives(std::span<const HeadPolicies> heads, double dim_ratio,
                                    std::vector<Extent>& writes);

}  // namespace kvr
