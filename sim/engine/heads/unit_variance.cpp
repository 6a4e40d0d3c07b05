#include "sim/engine/heads/unit_variance.hpp"

#include <numeric>
#include <set>

#include "sim/base/convert.hpp"
#include "sim/kernels/running_variance.hpp"

namespace kvr {

void UnitVariance::follow(std::span<const Change> changes, const Clustering& clustering,
                          const HeadView& view) {
  std::set<UnitId> touched;
  for (const Change& change : changes) {
    if (change.kind == ChangeKind::created || change.kind == ChangeKind::appended ||
        change.kind == ChangeKind::split || change.kind == ChangeKind::removed) {
      touched.insert(change.unit);
    }
    if (change.kind == ChangeKind::split) {
      touched.insert(change.other);
    }
    if (change.kind == ChangeKind::regrouped) {
      for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
        touched.insert(unit);
      }
    }
  }
  variances_.resize(static_cast<std::size_t>(clustering.unit_count()), 0.0);
  for (const UnitId unit : touched) {
    const auto members = clustering.members(unit);
    variances_[static_cast<std::size_t>(unit)] = variance(members, view);
    if (members.empty()) {
      emptied_.insert(unit);
    } else {
      emptied_.erase(unit);
    }
  }
}

double UnitVariance::mean() const {
  const auto units = variances_.size() - emptied_.size();  // what is empty has a variance of 0
  return units == 0 ? 0.0
                    : std::accumulate(variances_.begin(), variances_.end(), 0.0) / static_cast<double>(units);
}

double UnitVariance::variance(std::span<const EntryIndex> members, const HeadView& view) {
  if (members.size() < 2) {
    return 0.0;
  }
  const auto d = static_cast<std::size_t>(view.keys.cols);
  std::vector<float> keys(members.size() * d);
  for (std::size_t i = 0; i < members.size(); ++i) {
    to_float(view.keys.row(members[i]), std::span(keys).subspan(i * d, d));
  }
  return kernels::RunningCluster::of(matrix_view<float>(keys.data(), std::ssize(members), view.keys.cols))
      .variance();
}

}  // namespace kvr
