#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/engine/heads/head_policies.hpp"
#include "sim/engine/memory/layer_memory.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// What it takes to read in tokens, of one captured layer, over all its heads.
struct PrefillLayer {
  double pairs = 0.0;         ///< of a query and a key that attention meets, over KV heads
  double entries = 0.0;       ///< that attention reads, each once, over KV heads
  double less_bytes = 0.0;    ///< that they take less than as many of the largest; new ones are as those
  Work policy;                ///< of units, summaries, codecs and stages
  std::vector<Extent> reads;  ///< of what was there before and is not in the first tier, and for updates
  std::vector<Extent> writes;
};

/// Sums up what sequences read in together: prompts as a whole, or the tokens of a turn one after another.
class PrefillAccount {
 public:
  /// Before the first token. `tokens` [sequences]: how many each reads in; those that rest count for nothing.
  /// `heads` and `layers`: of a whole batch, layer by layer.
  void begin(std::span<const HeadPolicies> heads, std::span<const LayerMemory> layers,
             std::span<const std::int64_t> tokens);
  /// What heads and layers did last, for a prompt or a token.
  void add(std::span<const HeadPolicies> heads, std::span<const LayerMemory> layers);
  /// [captured layers], extents in whole blocks and merged.
  std::vector<PrefillLayer> finish(std::int64_t block_bytes);
  /// Over all sequences.
  std::int64_t tokens() const { return tokens_; }

 private:
  std::vector<PrefillLayer> layers_;
  std::int64_t tokens_ = 0;
};

}  // namespace kvr
