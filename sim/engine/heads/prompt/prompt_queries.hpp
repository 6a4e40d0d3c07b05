#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/engine/heads/stages.hpp"
#include "sim/engine/walk/trace_feed.hpp"
#include "sim/engine/walk/workers.hpp"
#include "sim/interfaces/layout.hpp"

namespace kvr {

/// The last queries of the prompt, asked anew of the units that the whole prompt came to: how a layout
/// learns, before decoding, which units are selected together. A trace keeps few of them (its W).
class PromptQueries {
 public:
  static constexpr std::int64_t kMost = 256;

  /// `prompt`: entries that the policies take for the prompt; queries from there on are not asked.
  PromptQueries(TraceFeed& feed, std::int64_t prompt);

  /// For each of a layer's heads, with its own scorer and the system's budget, pins and folding. `heads`: of
  /// all layers.
  std::vector<std::vector<CoRetrieval>> co_retrieval(std::int64_t layer, std::span<HeadPolicies> heads,
                                                     const Stages& stages, Workers& workers);
  /// What a reader of the results must know.
  std::string note() const;

 private:
  void ask(HeadPolicies& head, std::int64_t position, bool speculates);

  TraceFeed* feed_;
  std::vector<std::int64_t> positions_;
};

}  // namespace kvr
