#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/interfaces/clustering.hpp"

namespace kvr {

/// The units of a clustering as a layout shall see them: its members less those of the tail, which are
/// pending to the layout, and with the removed entries that keep their records, each in the unit that it was
/// last in.
class RecordUnits final : public Clustering {
 public:
  explicit RecordUnits(const Clustering& clustering) : clustering_(&clustering) {}

  /// What it says of `unit` from now on.
  void set(UnitId unit, std::vector<EntryIndex> members, std::vector<EntryIndex> pending);
  /// All units are the clustering's again.
  void reset();

  std::int64_t unit_count() const override { return clustering_->unit_count(); }
  std::span<const EntryIndex> members(UnitId unit) const override {
    return differs(unit) ? own_[static_cast<std::size_t>(unit)].members : clustering_->members(unit);
  }
  std::span<const EntryIndex> pending(UnitId unit) const override {
    return differs(unit) ? own_[static_cast<std::size_t>(unit)].pending : clustering_->pending(unit);
  }
  std::int64_t dram_bytes() const override { return clustering_->dram_bytes(); }

  void build(const HeadView&, const EntrySet&, ChangeList&, Work&) override { refuse(); }
  void append(EntryIndex, const HeadView&, const ResidentUnits&, ChangeList&, Work&) override { refuse(); }
  void remove(std::span<const EntryIndex>, const HeadView&, ChangeList&, Work&) override { refuse(); }

 private:
  struct Unit {
    bool differs = false;
    std::vector<EntryIndex> members;
    std::vector<EntryIndex> pending;
  };

  bool differs(UnitId unit) const {
    return static_cast<std::size_t>(unit) < own_.size() && own_[static_cast<std::size_t>(unit)].differs;
  }
  [[noreturn]] static void refuse() { throw InternalError("a layout changes units"); }

  const Clustering* clustering_;
  std::vector<Unit> own_;  ///< [units]
  std::vector<UnitId> set_;
};

inline void RecordUnits::set(UnitId unit, std::vector<EntryIndex> members, std::vector<EntryIndex> pending) {
  const auto at = static_cast<std::size_t>(unit);
  own_.resize(std::max(own_.size(), at + 1));
  own_[at] = {true, std::move(members), std::move(pending)};
  set_.push_back(unit);
}

inline void RecordUnits::reset() {
  for (const UnitId unit : set_) {
    own_[static_cast<std::size_t>(unit)] = {};
  }
  set_.clear();
}

}  // namespace kvr
