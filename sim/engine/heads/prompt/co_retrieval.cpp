// add:   one key (first, second) for every pair of the selection's best units
// merge: sort the keys, add runs of the same key to the sorted counts

#include "sim/engine/heads/prompt/co_retrieval.hpp"

#include <algorithm>

namespace kvr {
namespace {

constexpr std::size_t kMostSeen = std::size_t{1} << 18;

std::uint64_t key_of(UnitId a, UnitId b) {
  const auto [first, second] = std::minmax(a, b);
  return static_cast<std::uint64_t>(first) << 32U | static_cast<std::uint64_t>(second);
}

std::uint64_t key_of(const CoRetrieval& pair) {
  return key_of(pair.first, pair.second);
}

}  // namespace

void CoRetrievalCount::add(std::span<const UnitChoice> units) {
  const auto best = units.first(std::min(units.size(), static_cast<std::size_t>(kMostUnits)));
  for (std::size_t i = 0; i < best.size(); ++i) {
    for (std::size_t j = i + 1; j < best.size(); ++j) {
      seen_.push_back(key_of(best[i].unit, best[j].unit));
    }
  }
  if (seen_.size() >= kMostSeen) {
    merge();
  }
}

void CoRetrievalCount::merge() {
  std::ranges::sort(seen_);
  std::vector<CoRetrieval> merged;
  auto old = counts_.begin();
  for (auto run = seen_.begin(); run != seen_.end();) {
    const auto end = std::find_if(run, seen_.end(), [run](std::uint64_t key) { return key != *run; });
    for (; old != counts_.end() && key_of(*old) < *run; ++old) {
      merged.push_back(*old);
    }
    CoRetrieval pair{static_cast<UnitId>(*run >> 32U), static_cast<UnitId>(*run & 0xffffffffU), end - run};
    if (old != counts_.end() && key_of(*old) == *run) {
      pair.count += old->count;
      ++old;
    }
    merged.push_back(pair);
    run = end;
  }
  merged.insert(merged.end(), old, counts_.end());
  counts_ = std::move(merged);
  seen_.clear();
}

std::vector<CoRetrieval> CoRetrievalCount::pairs() {
  merge();
  return counts_;
}

}  // namespace kvr
