#include "sim/engine/statistics/static_drift.hpp"

#include <limits>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/kernels/dot.hpp"
#include "sim/kernels/running_variance.hpp"

namespace kvr {
namespace {

void find_centroid(std::span<const EntryIndex> members, const HeadView& view, std::span<float> centroid) {
  std::vector<float> key(centroid.size());
  kernels::RunningCluster cluster(std::ssize(key));
  for (const EntryIndex entry : members) {
    to_float(view.keys.row(entry), key);
    cluster.add(key);
  }
  cluster.copy_centroid(centroid);
}

}  // namespace

StaticDrift::StaticDrift(const Clustering& clustering, const HeadView& prompt, std::int64_t steps)
    : steps_(steps),
      centroids_(static_cast<std::size_t>(clustering.unit_count() * prompt.keys.cols)),
      key_(static_cast<std::size_t>(prompt.keys.cols)) {
  const auto centroids = matrix_ref(centroids_.data(), clustering.unit_count(), prompt.keys.cols);
  for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
    find_centroid(clustering.members(unit), prompt, centroids.row(unit));
    for (const EntryIndex entry : clustering.members(unit)) {
      add(entry, unit, prompt, prompt_);
    }
  }
}

void StaticDrift::follow(std::span<const Change> changes, const HeadView& view) {
  KVR_CHECK(step_ < steps_, "step {} of {}", step_, steps_);
  KVR_CHECK(changes.size() == 1 && changes.front().kind == ChangeKind::appended,
            "{} changes: the units are not static", changes.size());
  Distances& distances = quarters_[static_cast<std::size_t>(quarter_of(step_, steps_))];
  add(changes.front().entry, changes.front().unit, view, distances);
  ++step_;
}

std::span<const float> StaticDrift::centroid(UnitId unit) const {
  return std::span(centroids_).subspan(static_cast<std::size_t>(unit) * key_.size(), key_.size());
}

void StaticDrift::add(EntryIndex entry, UnitId unit, const HeadView& view, Distances& distances) {
  to_float(view.keys.row(entry), key_);
  distances.sum += static_cast<double>(kernels::squared_distance(key_, centroid(unit)));
  ++distances.keys;
}

double StaticDrift::Distances::mean() const {
  return keys == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / static_cast<double>(keys);
}

}  // namespace kvr
