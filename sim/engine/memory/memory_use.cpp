#include "sim/engine/memory/memory_use.hpp"

#include <algorithm>

#include "sim/base/error.hpp"

namespace kvr {

namespace {

CacheSwap swap_of(const MemoryGeometry& geometry) {
  return geometry.model.layers > 1 ? geometry.virtual_memory.cache : CacheSwap::none;
}

/// Of a layer's cache, what is in DRAM whichever layer computes.
std::int64_t staying_bytes_of(const LayerMemory& layer, CacheSwap swap) {
  switch (swap) {
    case CacheSwap::none:
      return layer.cached_bytes();
    case CacheSwap::in_place:
      return layer.unwritten_cached_bytes();
    case CacheSwap::area:
      return 0;
  }
  throw InternalError("no such swap");
}

void add_cache(std::span<const LayerMemory> layers, const MemoryGeometry& geometry, DramUse& use) {
  const Extrapolation& model = geometry.model;
  const CacheSwap swap = swap_of(geometry);
  const auto swapped_bytes = [swap](const LayerMemory& layer) {
    return layer.cached_bytes() - staying_bytes_of(layer, swap);
  };
  std::int64_t staying = 0;
  std::int64_t neighbours = 0;
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    const LayerMemory& next = layers[(layer + 1) % layers.size()];
    staying += staying_bytes_of(layers[layer], swap);
    neighbours = std::max(neighbours, swapped_bytes(layers[layer]) + swapped_bytes(next));
  }
  const double staying_bytes = model.model_share(static_cast<double>(staying));
  const bool given_back = layers.front().has_lower_tier() && swap != CacheSwap::in_place;  // by evicting
  use.kept_cache_bytes = given_back ? 0.0 : staying_bytes;
  use.cache_bytes = staying_bytes + static_cast<double>(neighbours) * model.head_share();
}

double representatives_bytes_of(std::span<const HeadPolicies> heads, const MemoryGeometry& geometry) {
  const Extrapolation& model = geometry.model;
  const auto per_layer = heads.size() / static_cast<std::size_t>(model.captured_layers);
  double all = 0.0;
  double largest = 0.0;
  for (std::size_t first = 0; first < heads.size(); first += per_layer) {
    double one = 0.0;
    for (const HeadPolicies& head : heads.subspan(first, per_layer)) {
      one += static_cast<double>(head.representative_bytes());
    }
    all += one;
    largest = std::max(largest, one);
  }
  return model.dim_ratio *
         (geometry.virtual_memory.representatives ? largest * model.head_share() : model.model_share(all));
}

}  // namespace

bool swaps_layers(const MemoryGeometry& geometry) {
  return swap_of(geometry) != CacheSwap::none;
}

DramUse dram_use_of(std::span<const LayerMemory> layers, std::span<const HeadPolicies> heads,
                    std::int64_t buffered_bytes, const MemoryGeometry& geometry) {
  const Extrapolation& model = geometry.model;
  double metadata = 0.0;
  double visible = 0.0;
  double waiting = 0.0;
  for (const HeadPolicies& head : heads) {
    metadata += static_cast<double>(head.metadata_bytes());
    visible += static_cast<double>(head.always_visible().bytes);
  }
  RecordSum tail;
  for (const LayerMemory& layer : layers) {
    waiting += static_cast<double>(layer.waiting_bytes());
    metadata += static_cast<double>(layer.index_bytes());
    for (const HeadRecords& records : layer.records()) {
      tail += records.tail();
    }
  }
  const auto more_bytes = static_cast<double>(tail.entries * geometry.raw_entry_bytes - tail.bytes);
  DramUse use;
  add_cache(layers, geometry, use);
  use.working_buffer_bytes = static_cast<double>(buffered_bytes) * model.head_share();
  use.write_buffer_bytes = model.model_share(waiting + more_bytes);
  use.pinned_bytes = model.model_share(visible);
  use.representatives_bytes = representatives_bytes_of(heads, geometry);
  use.metadata_bytes = model.model_share(metadata);
  return use;
}

}  // namespace kvr
