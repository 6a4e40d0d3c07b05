#include "sim/engine/statistics/attention_mass.hpp"

#include <algorithm>
#include <iterator>
#include <numeric>

#include "sim/base/error.hpp"
#include "sim/engine/walk/candidates.hpp"
#include "sim/kernels/topk.hpp"
#include "sim/results/statistics.hpp"

namespace kvr {
namespace {

constexpr double kRounding = 1e-9;
constexpr double kHighQuantile = 0.95;

double sum_of(std::span<const float> weights) {
  return std::accumulate(weights.begin(), weights.end(), 0.0);
}

template <class Item, class Figure>
std::vector<double> figures_of(std::span<const Item> items, Figure figure) {
  std::vector<double> figures;
  std::ranges::transform(items, std::back_inserter(figures), figure);
  return figures;
}

}  // namespace

void count_entries_for(std::span<const float> weights, std::span<const double> shares,
                       std::span<std::int64_t> counts) {
  const double total = sum_of(weights);
  kernels::LazyRanking ranking(weights);
  double mass = 0.0;
  std::int64_t entries = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const double wanted = (shares[i] - kRounding) * total;
    while (mass < wanted && !ranking.done()) {
      mass += static_cast<double>(weights[static_cast<std::size_t>(ranking.next())]);
      ++entries;
    }
    counts[i] = entries;
  }
}

void AttentionMass::observe(std::span<const float> probabilities) {
  KVR_CHECK(!probabilities.empty(), "attention over nothing");
  const std::int64_t before_current = std::ssize(probabilities) - 1;
  Query query{};
  query.visible = std::ssize(probabilities);
  count_entries_for(probabilities, kShares, query.entries);
  const CandidateRange unpinned = candidate_range(before_current, sinks_, 0);
  query.sink_mass = sum_of(probabilities.first(static_cast<std::size_t>(unpinned.begin)));
  std::ranges::transform(kWindows, query.window_mass.begin(), [&](std::int64_t window) {
    const CandidateRange range = candidate_range(before_current, sinks_, window);
    return sum_of(probabilities.subspan(static_cast<std::size_t>(range.end)));
  });
  queries_.push_back(query);
}

AttentionMass::Entries AttentionMass::entries_for(std::size_t share) const {
  const auto entries = figures_of<Query>(
      queries_, [share](const Query& query) { return static_cast<double>(query.entries[share]); });
  const auto shares = figures_of<Query>(queries_, [share](const Query& query) {
    return static_cast<double>(query.entries[share]) / static_cast<double>(query.visible);
  });
  return {mean(entries), quantile(entries, kHighQuantile), mean(shares)};
}

double AttentionMass::sink_mass() const {
  return mean(figures_of<Query>(queries_, [](const Query& query) { return query.sink_mass; }));
}

double AttentionMass::window_mass(std::size_t window) const {
  return mean(
      figures_of<Query>(queries_, [window](const Query& query) { return query.window_mass[window]; }));
}

}  // namespace kvr
