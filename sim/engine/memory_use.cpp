#include "sim/engine/memory_use.hpp"

#include <algorithm>

namespace kvr {

double cache_in_dram_bytes(std::span<const LayerReplay> layers, const Machine& machine) {
  double all = 0.0;
  double neighbours = 0.0;
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    const auto entries = static_cast<double>(layers[layer].cached_entries());
    const auto next = static_cast<double>(layers[(layer + 1) % layers.size()].cached_entries());
    all += entries;
    neighbours = std::max(neighbours, entries + next);
  }
  const auto bytes = static_cast<double>(machine.entry_bytes());
  const Extrapolation& model = machine.extrapolation();
  return machine.virtual_memory().cache && model.layers > 1
             ? neighbours * bytes * static_cast<double>(model.head_copies)
             : model.model_share(all * bytes);
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
  return model.dim_ratio * (machine.virtual_memory().representatives
                                ? largest * static_cast<double>(model.head_copies)
                                : model.model_share(all));
}

}  // namespace kvr
