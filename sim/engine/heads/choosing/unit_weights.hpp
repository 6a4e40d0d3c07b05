#pragma once

#include "sim/engine/heads/selection.hpp"
#include "sim/interfaces/clustering.hpp"
#include "sim/interfaces/entry_set.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// What each unit's candidates get of the attention that `queries` [rows, head_dim] pay to the entries of
/// `view` that are `live`: `weights` [rows, units], the softmax summed over them. Returns what a phone does
/// for it.
Work find_unit_weights(const MatrixView<float>& queries, double attention_scale, const HeadView& view,
                       const EntrySet& live, const Clustering& units, const Candidates& candidates,
                       const MatrixRef<float>& weights);

}  // namespace kvr
