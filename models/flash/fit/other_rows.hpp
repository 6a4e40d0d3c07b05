#pragma once

#include <span>

#include "models/flash/fit/model.hpp"
#include "models/flash/fit/row.hpp"

namespace kvr::flash::fit {

/// `contention`, in steps of 0.01, and `contention_scope` from reads of several threads; everything else of
/// `model` is set.
void fit_contention(std::span<const Row> rows, Model& model);

/// Of the writes of 64 KiB and more by one thread at depth 8 and more: slc_bandwidth is the fastest;
/// tlc_bandwidth the slowest, if it is below 70 % of the fastest. slc_pool: of a row between the two that
/// says how long it ran,
///   pool / slc + (bytes - pool) / tlc = seconds
void fit_writes(std::span<const Row> rows, Model& model);

}  // namespace kvr::flash::fit
