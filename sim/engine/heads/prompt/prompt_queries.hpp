#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/engine/heads/stages/stages.hpp"
#include "sim/engine/walk/batch_walk.hpp"
#include "sim/engine/walk/workers.hpp"
#include "sim/interfaces/layout.hpp"

namespace kvr {

/// The last queries of the prompt, asked anew of the units that the whole prompt came to: how a layout
/// learns, before decoding, which units are selected together. A trace keeps few of them (its W); of a batch
/// each sequence has as many as the one that keeps least.
class PromptQueries {
 public:
  static constexpr std::int64_t kMost = 256;

  /// Of some sequences. Queries behind what the policies take for the prompt are not asked.
  PromptQueries(BatchWalk& walk, std::span<const std::int64_t> sequences);

  /// For each of a layer's heads, with its own scorer and the system's budget, pins and folding. `heads`: of
  /// all layers.
  std::vector<std::vector<CoRetrieval>> co_retrieval(std::int64_t layer, std::span<HeadPolicies> heads,
                                                     const Stages& stages, Workers& workers);
  /// What a reader of the results must know.
  std::string note() const;

 private:
  void ask(HeadPolicies& head, std::size_t query, bool speculates);

  BatchWalk* walk_;
  std::int64_t count_;                                ///< queries that every sequence has
  std::vector<std::vector<std::int64_t>> positions_;  ///< [sequences][count]
};

}  // namespace kvr
