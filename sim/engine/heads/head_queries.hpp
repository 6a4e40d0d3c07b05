#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/half.hpp"

namespace kvr {

/// The queries of one KV head at one position, [group, head_dim].
struct HeadQueries {
  std::span<const Half> own;
  std::span<const Half> speculated = {};  ///< what the layer below takes them to be; empty where not wanted
};

/// Queries of the heads of a set side by side: [heads * group, heads * head_dim], each in its own head's
/// columns and zero in the others', so that its product with a row of the set is that with its own head's.
/// `one` [group, head_dim] of head `head` into `all`, which is that large and zero elsewhere.
void place_queries(std::span<const Half> one, std::int64_t head, std::int64_t heads, std::int64_t head_dim,
                   std::span<float> all);

}  // namespace kvr
