#pragma once

#include <memory>
#include <set>
#include <vector>

#include "tests/policies/support.hpp"

namespace kvr::test::adaptive {

using Units = std::vector<std::vector<EntryIndex>>;

/// With threshold quantile, unless `values` say another.
inline std::unique_ptr<Clustering> make(ParamValues values, std::int64_t head_dim, std::uint64_t seed = 1) {
  values.insert({"threshold", std::string("quantile")});
  return test::make<Clustering>("adaptive", values, {.head_dim = head_dim, .head = {}, .root_seed = seed});
}

inline Units members_of(const Clustering& clustering) {
  Units units;
  for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
    units.push_back(copy(clustering.members(unit)));
  }
  return units;
}

inline Units pending_of(const Clustering& clustering) {
  Units units;
  for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
    units.push_back(copy(clustering.pending(unit)));
  }
  return units;
}

struct Resident final : ResidentUnits {
  explicit Resident(std::set<UnitId> units) : units_(std::move(units)) {}
  bool resident(UnitId unit) const override { return units_.contains(unit); }

 private:
  std::set<UnitId> units_;
};

}  // namespace kvr::test::adaptive
