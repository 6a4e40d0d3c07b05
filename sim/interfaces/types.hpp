#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/half.hpp"
#include "sim/base/matrix.hpp"

namespace kvr {

/// Position of an entry in its head's sequence, which is the position of its token.
using EntryIndex = std::int32_t;
/// Index of a unit (token, page, cluster) within one head; never reused while the run lasts.
using UnitId = std::int32_t;

/// One KV head of one layer of a sequence; indices into what its trace captured, and into the batch.
struct HeadId {
  std::int64_t layer = 0;
  std::int64_t head = 0;
  std::int64_t sequence = 0;
};

/// A contiguous byte range on flash.
struct Extent {
  std::int64_t offset_bytes = 0;
  std::int64_t length_bytes = 0;

  std::int64_t end_bytes() const { return offset_bytes + length_bytes; }
  friend bool operator==(const Extent&, const Extent&) = default;
};

/// What an operation costs a processor: the two axes of the roofline. It is charged as a phone would store
/// what it reads and writes, whatever the arithmetic here uses: keys, values, summaries and centroids two
/// bytes an element unless the policy says otherwise, indices and counts four.
struct Work {
  double flops = 0.0;
  double bytes = 0.0;  ///< moved between DRAM and the cores

  Work& operator+=(const Work& other) {
    flops += other.flops;
    bytes += other.bytes;
    return *this;
  }
  friend Work operator+(Work a, const Work& b) { return a += b; }
  friend Work operator*(double times, const Work& w) { return {times * w.flops, times * w.bytes}; }
};

/// The entries of one head that exist at this point of the replay; rows = entries, columns = head_dim.
/// Causal by construction: it ends at the current entry.
struct HeadView {
  MatrixView<Half> keys;
  MatrixView<Half> values;

  EntryIndex entries() const { return static_cast<EntryIndex>(keys.rows); }
};

}  // namespace kvr
