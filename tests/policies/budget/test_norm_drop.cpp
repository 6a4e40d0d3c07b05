// The least number of entries that keeps the norm of attention: by hand, DBudgetKV's invariants, and a binary
// search over masked rows as the reference.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/interfaces/budget.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

struct Head {
  std::vector<float> scores;
  std::vector<std::int32_t> sizes;
  std::vector<float> weights;  ///< [query heads, units]

  std::int64_t units() const { return std::ssize(scores); }
  std::int64_t queries() const { return std::ssize(weights) / units(); }
};

std::vector<std::int64_t> allot(const std::vector<Head>& heads, double drop) {
  const auto budget =
      test::make<Budget>("norm_drop", {{"drop", drop}}, {.layers = 1, .kv_heads = 2, .prompt_entries = 8});
  CHECK(budget->needs().candidate_sizes);
  CHECK(budget->needs().attention);
  std::vector<HeadCandidates> views;
  for (const Head& head : heads) {
    const auto all = std::accumulate(head.sizes.begin(), head.sizes.end(), std::int64_t{0});
    views.push_back({.layer = 0,
                     .head = 0,
                     .visible = all,
                     .candidates = all,
                     .scores = head.scores,
                     .sizes = head.sizes,
                     .weights = matrix_view(head.weights.data(), head.queries(), head.units())});
  }
  std::vector<std::int64_t> allotted(heads.size(), -1);
  budget->allot(views, allotted);
  return allotted;
}

/// Attention of two query heads over so many entries, which are ranked by its sum and some noise.
Head random_head(std::int64_t entries, Rng& rng) {
  Head head;
  head.sizes.assign(static_cast<std::size_t>(entries), 1);
  head.scores.assign(head.sizes.size(), 0.0F);
  for (std::int64_t query = 0; query < 2; ++query) {
    std::vector<double> row(head.sizes.size());
    std::ranges::generate(row, [&rng] { return std::exp(2.0 * rng.normal()); });
    const double sum = std::accumulate(row.begin(), row.end(), 0.0);
    for (std::size_t i = 0; i < row.size(); ++i) {
      head.weights.push_back(static_cast<float>(row[i] / sum));
      head.scores[i] += static_cast<float>(row[i] / sum + 0.01 * rng.normal());
    }
  }
  return head;
}

std::vector<std::size_t> order_of(const Head& head) {
  std::vector<std::size_t> order(head.scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::ranges::greater{}, [&](std::size_t i) { return head.scores[i]; });
  return order;
}

/// 1 - mean norm of what is kept of each query head's row over the mean norm of the rows: all but the `kept`
/// best are masked.
double drop_of(const std::vector<Head>& heads, std::int64_t kept) {
  double all = 0.0;
  double left = 0.0;
  for (const Head& head : heads) {
    const auto order = order_of(head);
    for (std::int64_t query = 0; query < head.queries(); ++query) {
      double square = 0.0;
      double masked = 0.0;
      for (std::size_t i = 0; i < order.size(); ++i) {
        const auto p =
            static_cast<double>(head.weights[static_cast<std::size_t>(query * head.units()) + order[i]]);
        square += p * p;
        masked += static_cast<std::int64_t>(i) < kept ? p * p : 0.0;
      }
      all += std::sqrt(square);
      left += std::sqrt(masked);
    }
  }
  return 1.0 - left / all;
}

/// The drop falls as more is kept, so the least that is allowed is found by halving.
std::int64_t by_binary_search(const std::vector<Head>& heads, double drop) {
  std::int64_t low = 1;
  std::int64_t high = heads.front().units();
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    (drop_of(heads, middle) <= drop ? high : low) = drop_of(heads, middle) <= drop ? middle : middle + 1;
  }
  return low;
}

TEST_CASE("norm_drop: the norm of the best against that of all, by hand") {
  // Norms of the k best of (0.6, 0.3, 0.1): 0.6, sqrt 0.45 = 0.6708, sqrt 0.46 = 0.6782. Drops: 0.115, 0.011,
  // 0.
  const Head head = {{3.0F, 2.0F, 1.0F}, {1, 1, 1}, {0.6F, 0.3F, 0.1F}};
  CHECK(allot({head}, 0.12) == std::vector<std::int64_t>{1});
  CHECK(allot({head}, 0.11) == std::vector<std::int64_t>{2});
  CHECK(allot({head}, 0.01) == std::vector<std::int64_t>{3});
  CHECK(allot({head}, 1.0) == std::vector<std::int64_t>{1});  // the original keeps one in any case
}

TEST_CASE("norm_drop: the mean of norms decides, not the norm of the mean") {
  // Two query heads that look at different entries: means of norms of the k best are 0.5, 1.0. Of the mean
  // row (0.5, 0.5) norms are 0.5 and 0.7071, a drop of 0.293 and not of 0.5.
  const Head head = {{2.0F, 1.0F}, {1, 1}, {1.0F, 0.0F, 0.0F, 1.0F}};
  CHECK(allot({head}, 0.4) == std::vector<std::int64_t>{2});
  CHECK(allot({head}, 0.5) == std::vector<std::int64_t>{1});
}

TEST_CASE("norm_drop: all heads of the scope get one count, and units count once they are whole") {
  const Head sharp = {{2.0F, 1.0F, 0.0F}, {1, 1, 1}, {0.98F, 0.01F, 0.01F}};
  const Head flat = {{2.0F, 1.0F, 0.0F}, {1, 1, 1}, {0.34F, 0.33F, 0.33F}};
  CHECK(allot({sharp}, 0.01) == std::vector<std::int64_t>{1});
  CHECK(allot({flat}, 0.01) == std::vector<std::int64_t>{3});
  CHECK(allot({sharp, flat}, 0.01) == std::vector<std::int64_t>{3, 3});
  const Head pages = {{1.0F, 2.0F}, {3, 4}, {0.1F, 0.9F}};
  CHECK(allot({pages}, 0.01) == std::vector<std::int64_t>{4});
  CHECK(allot({pages}, 0.0) == std::vector<std::int64_t>{7});
  const Head pinned = {{9.0F, 1.0F, 2.0F}, {0, 1, 1}, {0.0F, 0.2F, 0.2F}};
  CHECK(allot({pinned}, 0.0) == std::vector<std::int64_t>{2});
}

TEST_CASE("DBudgetKV (j): no drop keeps every entry that has attention") {
  Rng rng(5);
  Head head = random_head(40, rng);
  CHECK(allot({head}, 0.0) == std::vector<std::int64_t>{40});
  head.weights[order_of(head).back()] = 0.0F;  // of the first query head alone
  CHECK(allot({head}, 0.0) == std::vector<std::int64_t>{40});
  head.weights[order_of(head).back() + 40] = 0.0F;
  CHECK(allot({head}, 0.0) == std::vector<std::int64_t>{39});
}

TEST_CASE("DBudgetKV (j): more drop never keeps more, and some count is always enough") {
  Rng rng(6);
  const std::vector<Head> heads = {random_head(70, rng), random_head(70, rng)};
  std::int64_t before = 70;
  for (double drop = 0.0; drop <= 1.0; drop += 0.02) {
    CAPTURE(drop);
    const std::int64_t kept = allot(heads, drop).front();
    CHECK(kept >= 1);
    CHECK(kept <= before);
    CHECK(drop_of(heads, kept) <= drop + 1e-12);
    before = kept;
  }
}

TEST_CASE("DBudgetKV (j): sums from the best on and a binary search over masked rows agree") {
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U}) {
    CAPTURE(seed);
    Rng rng(seed);
    const std::vector<Head> heads = {random_head(90, rng), random_head(90, rng), random_head(90, rng)};
    for (const double drop : {0.003, 0.01, 0.05, 0.1, 0.3}) {
      CAPTURE(drop);
      CHECK(allot(heads, drop) == std::vector<std::int64_t>(3, by_binary_search(heads, drop)));
    }
  }
}

TEST_CASE("norm_drop: heads without candidates, and none at all") {
  CHECK(allot({}, 0.1).empty());
  const Head pinned = {{1.0F}, {0}, {0.0F}};
  CHECK(allot({pinned}, 0.1) == std::vector<std::int64_t>{0});
  const Head other = {{1.0F, 2.0F}, {1, 1}, {0.5F, 0.5F}};
  CHECK(allot({pinned, other}, 0.0) == std::vector<std::int64_t>{2, 2});
}

}  // namespace
}  // namespace kvr
