// What a stage that places chooses.
#include <algorithm>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/engine/heads/head_policies.hpp"

namespace kvr {

void HeadPolicies::place(std::size_t stage, std::int64_t budget) {
  KVR_CHECK(budget >= 0, "layer {}, head {} is allotted {} entries", head_.layer, head_.head, budget);
  HeadStage& one = *stages_[stage];
  acted_[stage] = 1;
  const CandidateRange range = one.range(visible_);
  const Candidates candidates{range};
  const Stopwatch watch(times_.score_s);
  one.choose(budget, units_of(one), {&candidates, 1});
  std::vector<EntryIndex> entries;
  const auto add = [&](EntryIndex entry) {
    if (live_.contains(entry) && partition_.unit_of(entry) >= 0) {
      entries.push_back(entry);
    }
  };
  live_.for_each([&](EntryIndex entry) {
    if (!range.contains(entry)) {
      add(entry);
    }
  });
  Selection chosen;
  unite(one.selections(), chosen);
  std::ranges::for_each(chosen.entries, add);
  regroup(
      entries, [this](EntryIndex entry) { return partition_.unit_of(entry); }, placed_.emplace());
}

}  // namespace kvr
