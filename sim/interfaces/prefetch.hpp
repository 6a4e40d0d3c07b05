#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/interfaces/types.hpp"

namespace kvr {

/// What a Prefetch may look at when it guesses for one head of a later layer.
struct PrefetchView {
  HeadId head;                             ///< the head guessed for
  std::span<const UnitId> last_selection;  ///< units this head selected in the previous step, best first
  MatrixView<float> speculated_queries;    ///< [group, head_dim], or no rows where the trace has none
};

/// Guesses what a layer will ask for before its queries exist, so that reads hide behind earlier layers.
class Prefetch {
 public:
  static constexpr std::string_view kKind = "prefetch";
  struct Context {
    std::int64_t layers;
    std::int64_t group;
  };

  virtual ~Prefetch() = default;

  /// Layers ahead of the one guessed for at which the guess is made; 0: never guesses.
  virtual std::int64_t lead_layers() const = 0;
  /// Appends units worth reading early, best first.
  virtual void guess(const PrefetchView& view, std::vector<UnitId>& units) = 0;
};

}  // namespace kvr
