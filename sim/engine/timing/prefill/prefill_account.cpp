#include "sim/engine/timing/prefill/prefill_account.hpp"

#include <set>
#include <utility>

#include "sim/engine/memory/flash_requests.hpp"

namespace kvr {
namespace {

void append(std::span<const Extent> extents, std::vector<Extent>& to) {
  to.insert(to.end(), extents.begin(), extents.end());
}

}  // namespace

void PrefillAccount::begin(std::span<const HeadPolicies> heads, std::span<const LayerMemory> layers,
                           std::span<const std::int64_t> tokens) {
  layers_.assign(layers.size(), {});
  tokens_ = 0;
  std::set<std::int64_t> counted;
  for (const HeadPolicies& head : heads) {
    if (head.resting()) {
      continue;
    }
    const auto members = static_cast<double>(head.members().size());
    const auto before = static_cast<double>(head.live().size());
    const std::int64_t own = tokens[static_cast<std::size_t>(head.id().sequence)];
    const auto t = static_cast<double>(own);
    PrefillLayer& layer = layers_[static_cast<std::size_t>(head.id().layer)];
    layer.pairs += members * (t * before + t * (t + 1.0) / 2.0);
    layer.entries += members * (before + t);
    const RecordSizes& sizes = head.codec().sizes();
    const RecordSum stored = sizes.sum(head.live());
    layer.less_bytes += static_cast<double>(stored.entries * sizes.largest_bytes() - stored.bytes);
    tokens_ += counted.insert(head.id().sequence).second ? own : 0;
  }
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    layers_[layer].reads = layers[layer].live_on_flash();
  }
}

void PrefillAccount::add(std::span<const HeadPolicies> heads, std::span<const LayerMemory> layers) {
  for (const HeadPolicies& head : heads) {
    if (!head.resting()) {
      layers_[static_cast<std::size_t>(head.id().layer)].policy += head.score_work() + head.update_work();
    }
  }
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    append(layers[layer].extents(Use::update), layers_[layer].reads);
    append(layers[layer].extents(Use::update, IoKind::write), layers_[layer].writes);
  }
}

std::vector<PrefillLayer> PrefillAccount::finish(std::int64_t block_bytes) {
  for (PrefillLayer& layer : layers_) {
    align_and_merge(layer.reads, block_bytes);
    align_and_merge(layer.writes, block_bytes);
  }
  return std::exchange(layers_, {});
}

}  // namespace kvr
