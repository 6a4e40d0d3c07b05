#include "sim/engine/recording/update_reuse.hpp"

#include <algorithm>
#include <set>

namespace kvr {

void UpdateReuse::follow(std::span<const UnitChoice> demanded, std::span<const Change> changes) {
  std::set<UnitId> wanted;
  for (const UnitChoice& choice : demanded) {
    wanted.insert(choice.unit);
  }
  for (std::size_t before = 0; before < steps_.size(); ++before) {
    for (Updated& updated : steps_[before]) {
      if (updated.reused_after == 0 && wanted.contains(updated.unit)) {
        updated.reused_after = static_cast<std::int64_t>(before) + 1;
      }
    }
  }
  std::set<UnitId> units;
  for (const Change& change : changes) {
    if (change.kind == ChangeKind::appended || change.kind == ChangeKind::split) {
      units.insert(change.unit);
    }
    if (change.kind == ChangeKind::split) {
      units.insert(change.other);
    }
  }
  std::vector<Updated> step;
  for (const UnitId unit : units) {
    step.push_back({unit});
  }
  steps_.push_front(std::move(step));
  if (std::ssize(steps_) > kWindows.back() + 1) {
    steps_.pop_back();
  }
}

std::optional<std::int64_t> UpdateReuse::reused(std::int64_t within) const {
  if (within >= std::ssize(steps_)) {
    return std::nullopt;
  }
  return std::ranges::count_if(steps_[static_cast<std::size_t>(within)], [within](const Updated& updated) {
    return updated.reused_after > 0 && updated.reused_after <= within;
  });
}

}  // namespace kvr
