// B = the entries that could be chosen: allotted, and live candidates at most. Best = the B truly heaviest
// candidates, removed ones included, of which none comes back. Then, over one query head:
//
//   recall          = |best and attended| / B        retained recall = |best and live| / B
//   mass            = sum of the true softmax over the attended
//   relative mass   = mass / (mass of the best, and of what is pinned)
//   needed, loaded  = |needed and attended| / |needed|, needed: the fewest entries with 95 % of the softmax

#include "sim/engine/heads/attention/quality.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace kvr {
namespace {

double relative_distance(std::span<const float> a, std::span<const float> truth) {
  double difference = 0.0;
  double norm = 0.0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    const double delta = static_cast<double>(a[i]) - static_cast<double>(truth[i]);
    difference += delta * delta;
    norm += static_cast<double>(truth[i]) * static_cast<double>(truth[i]);
  }
  return norm > 0.0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

double sum_over(std::span<const float> probabilities, std::span<const EntryIndex> entries) {
  double sum = 0.0;
  for (const EntryIndex entry : entries) {
    sum += static_cast<double>(probabilities[static_cast<std::size_t>(entry)]);
  }
  return sum;
}

double sum_over(std::span<const float> probabilities, const EntrySet& live, CandidateRange within,
                double sum) {
  for (const EntrySet::Interval& one : live.intervals()) {
    const auto begin = std::max(one.begin, within.begin);
    const auto end = std::max(begin, std::min(one.end, within.end));
    sum = std::accumulate(probabilities.begin() + begin, probabilities.begin() + end, sum);
  }
  return sum;
}

/// Over what is live and not among the candidates.
double pinned_mass(std::span<const float> probabilities, const Attended& attended) {
  const double sinks = sum_over(probabilities, attended.live, {0, attended.range.begin}, 0.0);
  return sum_over(probabilities, attended.live,
                  {attended.range.end, static_cast<EntryIndex>(probabilities.size())}, sinks) +
         sum_over(probabilities, attended.free);
}

/// The `count` candidates that weigh most, best first.
std::vector<EntryIndex> best_candidates(const Attended& attended, std::int64_t query, std::int64_t count,
                                        HeadTruth& truth) {
  const std::int64_t wanted = std::min(count + std::ssize(attended.free), attended.range.size());
  const std::span<const EntryIndex> of_range = truth.best(query, attended.range, wanted);
  std::vector<EntryIndex> best(of_range.begin(), of_range.end());
  std::erase_if(best, [&](EntryIndex entry) { return !attended.is_candidate(entry); });
  best.resize(static_cast<std::size_t>(std::min(std::ssize(best), count)));
  return best;
}

/// Live candidates at most.
std::int64_t open_budget(const Attended& attended) {
  const CandidateRange& range = attended.range;
  return std::min(attended.budget,
                  attended.live.count_in({range.begin, range.end}) - std::ssize(attended.free));
}

/// Share of `best`, in order, that is among `entries`, which are candidates. Of candidates that weigh as much
/// as the least of the best any will do: where logits lie far apart, most weights are zero in a float.
class RecallCount {
 public:
  RecallCount(std::span<const EntryIndex> best, std::span<const float> probabilities)
      : best_(best), probabilities_(probabilities), least_(best.empty() ? 0.0F : weight(best.back())) {}

  void count(EntryIndex entry) {
    better_ += weight(entry) > least_ ? 1 : 0;
    equal_ += weight(entry) == least_ ? 1 : 0;
  }
  double share() const {
    if (best_.empty()) {
      return std::numeric_limits<double>::quiet_NaN();
    }
    const auto all_better =
        std::ranges::count_if(best_, [this](EntryIndex entry) { return weight(entry) > least_; });
    const std::int64_t found = better_ + std::min<std::int64_t>(equal_, std::ssize(best_) - all_better);
    return static_cast<double>(found) / static_cast<double>(best_.size());
  }

 private:
  float weight(EntryIndex entry) const { return probabilities_[static_cast<std::size_t>(entry)]; }

  std::span<const EntryIndex> best_;
  std::span<const float> probabilities_;
  float least_;
  std::int64_t better_ = 0;
  std::int64_t equal_ = 0;
};

double recall_of_attended(std::span<const EntryIndex> best, std::span<const float> probabilities,
                          const Attended& attended) {
  RecallCount recall(best, probabilities);
  for (const EntryIndex entry : attended.entries) {
    if (attended.is_candidate(entry)) {
      recall.count(entry);
    }
  }
  return recall.share();
}

double recall_of_live(std::span<const EntryIndex> best, std::span<const float> probabilities,
                      const Attended& attended) {
  RecallCount recall(best, probabilities);
  attended.live.for_each([&](EntryIndex entry) {
    if (attended.is_candidate(entry)) {
      recall.count(entry);
    }
  });
  return recall.share();
}

double share_marked(std::span<const EntryIndex> entries, std::span<const std::uint8_t> marked) {
  const auto found = std::ranges::count_if(
      entries, [&](EntryIndex entry) { return marked[static_cast<std::size_t>(entry)] != 0; });
  return static_cast<double>(found) / static_cast<double>(entries.size());
}

/// What of the span there is so far.
void add_span(std::span<const float> probabilities, const Attended& attended, double share,
              HeadQuality& quality) {
  const EntryIndex end = std::min(attended.span.end, static_cast<EntryIndex>(probabilities.size()));
  for (EntryIndex entry = attended.span.begin; entry < end; ++entry) {
    const auto at = static_cast<std::size_t>(entry);
    const double mass = share * static_cast<double>(probabilities[at]);
    quality.span_true_mass += mass;
    quality.span_mass += attended.marked[at] != 0 ? mass : 0.0;
  }
}

}  // namespace

std::vector<EntryIndex> best_open(const Attended& attended, std::int64_t query, HeadTruth& truth) {
  return best_candidates(attended, query, open_budget(attended), truth);
}

void add_quality(const Attended& attended, std::int64_t query, HeadTruth& truth, double share,
                 HeadQuality& quality) {
  const std::span<const float> probabilities = truth.probabilities(query);
  const std::int64_t budget = open_budget(attended);
  // The best choice open to a policy takes the pending entries even where they alone exceed the budget.
  const std::vector<EntryIndex> open =
      best_candidates(attended, query, std::max(budget, attended.pending), truth);
  const auto best = std::span(open).first(static_cast<std::size_t>(std::min(budget, std::ssize(open))));
  const double best_mass = sum_over(probabilities, open) + pinned_mass(probabilities, attended);
  const double mass = sum_over(probabilities, attended.entries);
  const auto seen = static_cast<EntryIndex>(probabilities.size());
  const bool nothing_removed = attended.live.size() == seen;

  quality.recall += share * recall_of_attended(best, probabilities, attended);
  quality.mass += share * mass;
  quality.relative_mass += best_mass > 0.0 ? share * mass / best_mass : share;
  quality.output_error += share * relative_distance(attended.out, truth.out(query));
  quality.selected += share * static_cast<double>(attended.chosen);
  quality.attended += share * static_cast<double>(attended.entries.size());
  quality.estimated += share * static_cast<double>(attended.estimated);
  quality.retained += share * static_cast<double>(attended.live.size()) / static_cast<double>(seen);
  quality.retained_mass +=
      share * (nothing_removed ? 1.0 : sum_over(probabilities, attended.live, {0, seen}, 0.0));
  quality.retained_recall +=
      share * (nothing_removed && !best.empty() ? 1.0 : recall_of_live(best, probabilities, attended));
  quality.needed_loaded += share * share_marked(truth.needed(query), attended.marked);
  add_span(probabilities, attended, share, quality);
}

}  // namespace kvr
