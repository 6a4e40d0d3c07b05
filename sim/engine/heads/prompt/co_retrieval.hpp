#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/engine/heads/selection.hpp"
#include "sim/interfaces/layout.hpp"

namespace kvr {

/// Counts how often two units of one head are selected by the same query.
///
/// Memory is bounded by `kMostUnits` for a query and by the pairs that occur: of a selection of more units
/// only the best count.
class CoRetrievalCount {
 public:
  static constexpr std::int64_t kMostUnits = 128;

  /// `units`: what one query selected, best first, each once.
  void add(std::span<const UnitChoice> units);
  /// Ascending by first, then second unit.
  std::vector<CoRetrieval> pairs();

 private:
  void merge();

  std::vector<std::uint64_t> seen_;  ///< first << 32 | second, one for every query and pair since `merge`
  std::vector<CoRetrieval> counts_;
};

}  // namespace kvr
