#include "sim/engine/memory_use.hpp"

#include <algorithm>

#include "sim/error.hpp"

namespace kvr {

namespace {

/// Cached entries of a layer that are in DRAM whichever layer computes.
std::int64_t staying_entries(const LayerReplay& layer, CacheSwap swap) {
  switch (swap) {
    case CacheSwap::none:
      return layer.cached_entries();
    case CacheSwap::in_place:
      return layer.unwritten_cached_entries();
    case CacheSwap::area:
      return 0;
  }
  throw InternalError("no such swap");
}

}  // namespace

double cache_in_dram_bytes(std::span<const LayerReplay> layers, const Machine& machine) {
  const Extrapolation& model = machine.extrapolation();
  const CacheSwap swap = model.layers > 1 ? machine.virtual_memory().cache : CacheSwap::none;
  const auto swapped_entries = [swap](const LayerReplay& layer) {
    return layer.cached_entries() - staying_entries(layer, swap);
  };
  std::int64_t staying = 0;
  std::int64_t neighbours = 0;
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    const LayerReplay& next = layers[(layer + 1) % layers.size()];
    staying += staying_entries(layers[layer], swap);
    neighbours = std::max(neighbours, swapped_entries(layers[layer]) + swapped_entries(next));
  }
  const auto bytes_of = [&machine](std::int64_t entries) {
    return static_cast<double>(entries) * static_cast<double>(machine.entry_bytes());
  };
  return model.model_share(bytes_of(staying)) + bytes_of(neighbours) * model.head_share();
}

double representatives_in_dram_bytes(std::span<const HeadReplay> heads, const Machine& machine) {
  const Extrapolation& model = machine.extrapolation();
  const auto per_layer = heads.size() / static_cast<std::size_t>(model.captured_layers);
  double all = 0.0;
  double largest = 0.0;
  for (std::size_t first = 0; first < heads.size(); first += per_layer) {
    double one = 0.0;
    for (const HeadReplay& head : heads.subspan(first, per_layer)) {
      one += static_cast<double>(head.representative_bytes());
    }
    all += one;
    largest = std::max(largest, one);
  }
  return model.dim_ratio *
         (machine.virtual_memory().representatives ? largest * model.head_share() : model.model_share(all));
}

}  // namespace kvr
