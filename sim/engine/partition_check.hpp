#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/interfaces/clustering.hpp"

namespace kvr {

/// Follows the change stream of one head and proves that no entry is lost or held twice.
///
/// `follow` costs O(changes), plus the members of units that were created or split; `check` compares
/// everything with the clustering itself, O(entries).
class PartitionCheck {
 public:
  void follow(std::span<const Change> changes, const Clustering& clustering);
  /// `entries` that were handed over so far must be the entries accounted for.
  void expect(std::int64_t entries) const;
  void check(const Clustering& clustering) const;

 private:
  void claim(EntryIndex entry, UnitId unit);
  UnitId unit_of(EntryIndex entry) const;

  std::vector<UnitId> unit_of_;
  std::int64_t entries_ = 0;
};

}  // namespace kvr
