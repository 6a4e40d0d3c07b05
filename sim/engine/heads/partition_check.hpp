#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "sim/base/indexed.hpp"
#include "sim/interfaces/clustering.hpp"

namespace kvr {

/// Follows the change stream of one head and proves that no entry is lost or held twice.
///
/// `follow` costs O(changes), plus the members of units that were created, split or regrouped; `check`
/// compares everything with the clustering itself, O(entries).
class PartitionCheck {
 public:
  void follow(std::span<const Change> changes, const Clustering& clustering);
  /// `entries` that were handed over so far, less the removed, must be the entries accounted for.
  void expect(std::int64_t entries) const;
  UnitId unit_of(EntryIndex entry) const;
  void check(const Clustering& clustering) const;

 private:
  /// By new unit, the one it was split off. A list is read when all of it has happened, so the entries of a
  /// unit may have come through several splits of it.
  using Origins = std::map<UnitId, UnitId>;

  void claim(EntryIndex entry, UnitId unit);
  void follow_created(UnitId unit, const Clustering& clustering, const Origins& origins);
  void claim_created(EntryIndex entry, UnitId unit, const Origins& origins);
  void follow_regrouping(const Clustering& clustering);
  void follow_split(const Change& change, const Clustering& clustering, const Origins& origins);
  void follow_removed(const Change& change);

  Indexed<EntryIndex, UnitId> unit_of_;  ///< -1: in none
  Indexed<EntryIndex, std::uint8_t> pending_;
  std::int64_t entries_ = 0;
  bool any_removed_ = false;
};

}  // namespace kvr
