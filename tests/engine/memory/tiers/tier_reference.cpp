#include "tests/engine/memory/tiers/tier_reference.hpp"

#include <algorithm>
#include <numeric>
#include <ranges>
#include <utility>

#include "sim/engine/point_replay.hpp"
#include "sim/engine/walk/trace_demands.hpp"

namespace kvr::test {
namespace {

bool has(const std::vector<CacheObject>& held, CacheObject object) {
  return std::ranges::find(held, object) != held.end();
}

void use(std::vector<CacheObject>& held, CacheObject object) {
  std::erase(held, object);
  held.push_back(object);
}

/// The first elements for which `of` gives the same.
template <class Of>
std::span<const CacheObject> same(std::span<const CacheObject> objects, Of of) {
  const auto end =
      std::ranges::find_if(objects, [&](const CacheObject& one) { return of(one) != of(objects.front()); });
  return objects.first(static_cast<std::size_t>(end - objects.begin()));
}

}  // namespace

TierReference::TierReference(std::int64_t first_capacity, std::vector<TierSpec> tiers, Size size)
    : size_(std::move(size)),
      first_capacity_(first_capacity),
      specs_(std::move(tiers)),
      held_(specs_.size() + 1) {}

std::int64_t TierReference::capacity_of(std::size_t tier) const {
  return tier == 0 ? first_capacity_ : specs_[tier - 1].capacity;
}

std::int64_t TierReference::total(const Order& objects) const {
  return std::accumulate(objects.begin(), objects.end(), std::int64_t{0},
                         [&](std::int64_t sum, CacheObject object) { return sum + size_(object); });
}

StepCounts TierReference::step(std::span<const CacheObject> touched) {
  StepCounts counts;
  counts.tiers.resize(specs_.size());
  while (!touched.empty()) {
    const auto layer = same(touched, [](const CacheObject& one) { return one.layer; });
    looked_.assign(held_.size(), {});
    read_layer(layer, counts);
    settle_layer(layer, counts);
    touched = touched.subspan(layer.size());
  }
  for (std::size_t tier = 0; tier < specs_.size(); ++tier) {
    counts.tiers[tier].held = total(held_[tier + 1]);
  }
  return counts;
}

void TierReference::read_layer(std::span<const CacheObject> touched, StepCounts& counts) {
  while (!touched.empty()) {
    const auto head = same(touched, [](const CacheObject& one) { return one.head; });
    for (const CacheObject& object : std::views::reverse(head)) {
      read(object, counts);
    }
    touched = touched.subspan(head.size());
  }
}

void TierReference::read(CacheObject object, StepCounts& counts) {
  if (has(held_[0], object)) {
    return;
  }
  const std::int64_t size = size_(object);
  counts.missed += size;
  counts.missed_objects.push_back(object);
  for (std::size_t tier = 1; tier < held_.size(); ++tier) {
    TierCounts& of_tier = counts.tiers[tier - 1];
    const bool exclusive = specs_[tier - 1].exclusive;
    const bool found = has(held_[tier], object);
    of_tier.asked += size;
    looked_[tier].push_back(object);
    if (found && exclusive) {
      std::erase(held_[tier], object);
    } else if (!found && !exclusive) {
      held_[tier].push_back(object);
    }
    if (found) {
      of_tier.read += size;
      held_[0].push_back(object);
      return;
    }
  }
  counts.from_last += size;
  counts.last_objects.push_back(object);
  held_[0].push_back(object);
}

void TierReference::settle_layer(std::span<const CacheObject> touched, StepCounts& counts) {
  for (const CacheObject& object : touched) {
    use(held_[0], object);
    for (std::size_t tier = 1; tier < held_.size(); ++tier) {
      if (has(looked_[tier], object) && has(held_[tier], object)) {
        use(held_[tier], object);
      }
    }
  }
  for (std::size_t tier = 0; tier < held_.size(); ++tier) {
    while (total(held_[tier]) > capacity_of(tier)) {
      const CacheObject victim = held_[tier].front();
      held_[tier].erase(held_[tier].begin());
      const bool above = std::any_of(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(tier),
                                     [&](const Order& order) { return has(order, victim); });
      if (tier < specs_.size() && specs_[tier].exclusive && !above && !has(held_[tier + 1], victim)) {
        held_[tier + 1].push_back(victim);
        counts.tiers[tier].demoted += size_(victim);
      }
    }
  }
}

std::vector<std::vector<CacheObject>> demands(const ReplayFixture& fixture, const Setup& setup) {
  const RunConfig config = fixture.config(setup);
  const trace::Reader trace(fixture.trace_path());
  const trace::Reader* const traces[] = {&trace};
  BatchWalk walk(config, traces);
  AccessRecord accesses;
  PointReplay replay(config, walk, &accesses);
  walk.enter_prompt(walk.timetable().begin);
  replay.load_prompt(walk.timetable().begin);
  replay.begin_turn(walk.timetable().turns.front());
  std::vector<std::vector<CacheObject>> touched;
  std::size_t before = 0;
  for (std::int64_t step = 0; step < walk.steps(); ++step) {
    walk.enter(walk.timetable().turns.front().sequences);
    replay.step_policies(step);
    const auto all = accesses.of(0);
    touched.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(before), all.end());
    before = all.size();
  }
  return touched;
}

}  // namespace kvr::test
