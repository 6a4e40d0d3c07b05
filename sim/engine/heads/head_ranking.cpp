// How a set ranks its units for a stage, and what it tells the stage's budget.
#include <algorithm>
#include <ranges>

#include "sim/engine/heads/head_policies.hpp"

namespace kvr {

void HeadPolicies::score(std::size_t stage) {
  const Stopwatch watch(times_.score_s);
  HeadStage& one = *stages_[stage];
  Work& work = one.config().effect == Effect::prefetch ? guess_work_ : score_work_;
  const MatrixView<float> queries = queries_.of(one.config().queries);
  one.score(queries, units_of(one), met(), work);
  if (!one.counts_candidates() && !one.weighs()) {
    return;
  }
  const bool evicts = !one.config().chooses();
  const auto open = evicts ? std::vector<Candidates>() : open_.of(one);
  const Candidates candidates = evicts ? Candidates{one.range(visible_)} : open.front();
  if (one.counts_candidates()) {
    one.count_candidates(units_of(one), candidates);
  }
  if (one.weighs()) {
    one.weigh(queries, met(), live_, units_of(one), candidates, work);
  }
}

HeadCandidates HeadPolicies::candidates(std::size_t stage) const {
  const HeadStage& one = *stages_[stage];
  const auto before = static_cast<EntryIndex>(before_current_);
  if (!one.config().chooses()) {
    const CandidateRange range = one.range(visible_);
    return {.layer = head_.layer,
            .head = head_.head,
            .visible = live_.size(),
            .candidates = live_.count_in({range.begin, range.end}),
            .scores = one.budget_scores(),
            .sizes = one.sizes(),
            .weights = one.weights()};
  }
  return {.layer = head_.layer,
          .head = head_.head,
          .visible = live_.count_in({0, before}) + 1,
          .candidates = open_.count(one, live_),
          .scores = one.budget_scores(),
          .sizes = one.sizes(),
          .weights = one.weights()};
}

HeadCandidates HeadPolicies::unread(std::size_t stage) const {
  const auto taken = stages_[stage]->selections() | std::views::transform([](const Selection& selection) {
                       return std::ssize(selection.entries);
                     });
  HeadCandidates left = candidates(stage);
  left.candidates -= std::min(left.candidates, std::ranges::max(taken));
  return left;
}

}  // namespace kvr
