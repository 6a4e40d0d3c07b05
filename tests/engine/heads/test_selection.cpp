#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/engine/heads/selection.hpp"
#include "tests/engine/support.hpp"

namespace kvr {
namespace {

using test::ListedUnits;
using Entries = std::vector<EntryIndex>;

std::vector<float> folded(std::vector<float> scores, std::int64_t group, Norm norm, Fold fold) {
  std::vector<float> result;
  const std::int64_t units = std::ssize(scores) / group;
  fold_scores(matrix_ref(scores.data(), group, units), norm, fold, result);
  return result;
}

Selection selected(const std::vector<float>& scores, const Clustering& units, CandidateRange range,
                   std::int64_t budget, LastUnit last_unit = LastUnit::cut) {
  Selection selection;
  select_units(scores, units, {range}, budget, last_unit, selection);
  return selection;
}

/// Unit, first and count of each choice, in order.
std::vector<std::vector<std::int32_t>> choices(const Selection& selection) {
  std::vector<std::vector<std::int32_t>> result;
  for (const UnitChoice& choice : selection.units) {
    result.push_back({choice.unit, choice.first, choice.count});
  }
  return result;
}

/// Unit and entries of each, in order.
std::vector<std::pair<UnitId, std::int32_t>> sketched(const std::vector<float>& scores,
                                                      const Clustering& units, const Candidates& candidates,
                                                      const Selection& selection, std::int64_t budget) {
  std::vector<SketchedUnit> all;
  sketch_units(scores, units, candidates, selection, budget, all);
  std::vector<std::pair<UnitId, std::int32_t>> result;
  for (const SketchedUnit& one : all) {
    result.emplace_back(one.unit, one.entries);
  }
  return result;
}

TEST_CASE("summaries stand for the rest of a cut unit and for whole units after it, while they fit") {
  const ListedUnits units({{0, 1, 2, 3}, {4, 5}, {6, 7, 8}, {9}});
  const std::vector<float> scores = {4, 3, 2, 1};
  const CandidateRange range{1, 9};  // entries 0 and 9 are pinned
  const Candidates candidates{range};
  const Selection selection = selected(scores, units, range, 2);  // 1 and 2
  using Units = std::vector<std::pair<UnitId, std::int32_t>>;
  CHECK(sketched(scores, units, candidates, selection, 0).empty());
  CHECK(sketched(scores, units, candidates, selection, 1) == Units{{0, 1}});
  CHECK(sketched(scores, units, candidates, selection, 2) == Units{{0, 1}});
  CHECK(sketched(scores, units, candidates, selection, 5) == Units{{0, 1}, {1, 2}});
  CHECK(sketched(scores, units, candidates, selection, 100) == Units{{0, 1}, {1, 2}, {2, 3}});
  const std::vector<std::uint8_t> within = {1, 1, 1, 0, 1, 0, 0, 0, 1, 1};
  CHECK(sketched(scores, units, {range, within}, selection, 100) == Units{{1, 1}, {2, 1}});
}

TEST_CASE("scores of two query heads fold to their mean, maximum and sum, or stay apart") {
  const std::vector<float> scores = {1, 2, 6, 3, -2, 4};
  CHECK(folded(scores, 2, Norm::none, Fold::mean) == std::vector<float>{2, 0, 5});
  CHECK(folded(scores, 2, Norm::none, Fold::max) == std::vector<float>{3, 2, 6});
  CHECK(folded(scores, 2, Norm::none, Fold::sum) == std::vector<float>{4, 0, 10});
  CHECK(folded(scores, 2, Norm::none, Fold::none) == scores);
  CHECK(folded({}, 2, Norm::softmax, Fold::mean).empty());
}

TEST_CASE("the softmax comes before the fold: 1:1 and 1:3 in shares add to 0.75 and 1.25") {
  const auto log3 = static_cast<float>(std::log(3.0));
  const std::vector<float> sum = folded({7, 7, 0, log3}, 2, Norm::softmax, Fold::sum);
  CHECK(sum[0] == doctest::Approx(0.75).epsilon(1e-6));
  CHECK(sum[1] == doctest::Approx(1.25).epsilon(1e-6));
  const std::vector<float> apart = folded({7, 7, 0, log3}, 2, Norm::softmax, Fold::none);
  CHECK(apart[0] == doctest::Approx(0.5).epsilon(1e-6));
  CHECK(apart[3] == doctest::Approx(0.75).epsilon(1e-6));
}

TEST_CASE("a softmax of logits far apart and far from zero stays finite") {
  const std::vector<float> shares = folded({-1e4F, 9e3F, 9e3F}, 1, Norm::softmax, Fold::none);
  CHECK(shares[0] < 1e-30F);
  CHECK(shares[1] == doctest::Approx(0.5));
}

TEST_CASE("candidates lie between the sinks and the recent window, and nothing is negative") {
  const auto range = [](std::int64_t entries, std::int64_t sinks, std::int64_t recent) {
    const CandidateRange r = candidate_range(entries, sinks, recent);
    return std::pair(r.begin, r.end);
  };
  CHECK(range(100, 4, 32) == std::pair(4, 68));
  CHECK(range(100, 0, 0) == std::pair(0, 100));
  CHECK(range(10, 4, 8) == std::pair(4, 4));
  CHECK(range(3, 4, 8) == std::pair(3, 3));
  CHECK(range(0, 0, 0) == std::pair(0, 0));
  CHECK(range(10, 4, 6) == std::pair(4, 4));
}

TEST_CASE("units are taken by score, ties to the lower unit, and the last is cut in member order") {
  const ListedUnits units({{0, 5}, {1, 6, 9}, {2, 3}, {4, 8, 7}});
  const Selection s = selected({1, 3, 3, 2}, units, {0, 10}, 7);
  CHECK(choices(s) == std::vector<std::vector<std::int32_t>>{{1, 0, 3}, {2, 3, 2}, {3, 5, 2}});
  CHECK(s.entries == Entries{1, 6, 9, 2, 3, 4, 8});
}

TEST_CASE("a unit that no longer fits may be left out, and nothing after it is taken instead") {
  const ListedUnits units({{0, 5}, {1, 6, 9}, {2, 3}, {4}});
  CHECK(selected({1, 3, 4, 2}, units, {0, 10}, 4, LastUnit::drop).entries == Entries{2, 3});
  CHECK(selected({1, 3, 4, 2}, units, {0, 10}, 5, LastUnit::drop).entries == Entries{2, 3, 1, 6, 9});
}

TEST_CASE("pinned members cost nothing and are not selected, and a unit of pinned members is passed over") {
  const ListedUnits units({{0, 1}, {2, 3}, {4, 8}, {9}});
  const Selection s = selected({9, 8, 7, 6}, units, {3, 9}, 2);
  CHECK(s.entries == Entries{3, 4});
  CHECK(choices(s) == std::vector<std::vector<std::int32_t>>{{1, 0, 1}, {2, 1, 1}});
}

TEST_CASE("no budget selects nothing, a large one selects every candidate") {
  const ListedUnits units({{0, 1}, {2, 3}, {}});
  CHECK(selected({1, 2, 3}, units, {0, 4}, 0).units.empty());
  CHECK(selected({1, 2, 3}, units, {0, 4}, 4).entries == Entries{2, 3, 0, 1});
  CHECK(selected({1, 2, 3}, units, {0, 4}, 1'000'000).entries == Entries{2, 3, 0, 1});
  CHECK(selected({1, 2, 3}, units, {4, 4}, 5).entries.empty());
}

TEST_CASE("the union of two query heads keeps each unit's best rank and its longer cut") {
  const ListedUnits units({{0, 1, 2}, {3, 4, 5}, {6, 7}});
  const std::vector<Selection> both = {selected({3, 2, 1}, units, {0, 8}, 4),   // 0 1 2 | 3
                                       selected({1, 2, 3}, units, {0, 8}, 4)};  // 6 7 | 3 4
  Selection united;
  unite(both, united);
  CHECK(united.entries == Entries{0, 1, 2, 6, 7, 3, 4});
  CHECK(choices(united) == std::vector<std::vector<std::int32_t>>{{0, 0, 3}, {2, 3, 2}, {1, 5, 2}});
  unite(std::span(both).first(1), united);
  CHECK(united.entries == both[0].entries);
}

/// Sorts everything, then walks: what select_units must come to.
Entries slow_selection(const std::vector<float>& scores, const Clustering& units, CandidateRange range,
                       std::int64_t budget, LastUnit last_unit) {
  std::vector<UnitId> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](UnitId a, UnitId b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  Entries result;
  for (const UnitId unit : order) {
    Entries candidates;
    for (const EntryIndex entry : units.members(unit)) {
      if (entry >= range.begin && entry < range.end) {
        candidates.push_back(entry);
      }
    }
    const std::int64_t left = budget - std::ssize(result);
    if (std::ssize(candidates) > left && last_unit == LastUnit::drop) {
      break;
    }
    candidates.resize(static_cast<std::size_t>(std::min(std::ssize(candidates), left)));
    result.insert(result.end(), candidates.begin(), candidates.end());
    if (std::ssize(result) == budget) {
      break;
    }
  }
  return result;
}

ListedUnits random_units(Rng& rng, std::int64_t entries, std::uint64_t units) {
  ListedUnits::Units members(units);
  for (EntryIndex entry = 0; entry < entries; ++entry) {
    members[rng.below(units)].push_back(entry);
  }
  return ListedUnits(members);
}

/// Few distinct values, so that ties are common.
std::vector<float> random_scores(Rng& rng, std::uint64_t units) {
  std::vector<float> scores(units);
  std::ranges::generate(scores, [&rng] { return static_cast<float>(rng.below(6)) - 3.0F; });
  return scores;
}

TEST_CASE("2,000 random selections agree with sorting everything and walking the list") {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto entries = static_cast<std::int64_t>(1 + rng.below(60));
    const std::uint64_t count = 1 + rng.below(12);
    const ListedUnits units = random_units(rng, entries, count);
    const std::vector<float> scores = random_scores(rng, count);
    const CandidateRange range = candidate_range(entries, static_cast<std::int64_t>(rng.below(8)),
                                                 static_cast<std::int64_t>(rng.below(20)));
    const auto budget = static_cast<std::int64_t>(rng.below(70));
    const LastUnit last = rng.below(2) == 0 ? LastUnit::cut : LastUnit::drop;
    const Selection fast = selected(scores, units, range, budget, last);
    CHECK(fast.entries == slow_selection(scores, units, range, budget, last));
  }
}

TEST_CASE("500 random unions hold every selected entry once and each unit as one run in member order") {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const ListedUnits units = random_units(rng, 50, 9);
    std::vector<Selection> heads;
    Entries expected;
    for (int head = 0; head < 3; ++head) {
      heads.push_back(
          selected(random_scores(rng, 9), units, {3, 45}, static_cast<std::int64_t>(rng.below(30))));
      expected.insert(expected.end(), heads.back().entries.begin(), heads.back().entries.end());
    }
    std::ranges::sort(expected);
    expected.erase(std::unique(expected.begin(), expected.end()), expected.end());
    Selection united;
    unite(heads, united);
    Entries held = united.entries;
    std::ranges::sort(held);
    CHECK(held == expected);
    std::int32_t at = 0;
    for (const UnitChoice& choice : united.units) {
      CHECK(choice.first == at);
      at += choice.count;
      for (std::int32_t i = 1; i < choice.count; ++i) {
        const auto entry = static_cast<std::size_t>(choice.first + i);
        CHECK(united.entries[entry - 1] < united.entries[entry]);  // members are listed in ascending order
      }
    }
    CHECK(at == std::ssize(united.entries));
  }
}

}  // namespace
}  // namespace kvr
