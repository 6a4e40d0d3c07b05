// What scores enough, and no more of it than a cap: by hand, and beside what a sort gives.
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/interfaces/budget.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

std::int64_t allot(const std::vector<float>& scores, const std::vector<std::int32_t>& sizes,
                   const ParamValues& params) {
  const auto budget =
      test::make<Budget>("at_least", params, {.layers = 1, .kv_heads = 1, .prompt_entries = 8});
  CHECK(budget->needs().candidate_sizes);
  CHECK_FALSE(budget->needs().attention);
  CHECK_FALSE(budget->compares_heads());
  const HeadCandidates head = {
      .layer = 0, .head = 0, .visible = 8, .candidates = 8, .scores = scores, .sizes = sizes};
  std::int64_t entries = -1;
  budget->allot({&head, 1}, {&entries, 1});
  return entries;
}

TEST_CASE("at_least: members of the units that score enough, the level itself among them, by hand") {
  const std::vector<float> scores = {0.0F, 1.0F, 3.0F, 0.5F};
  const std::vector<std::int32_t> sizes = {4, 2, 1, 1};
  CHECK(allot(scores, sizes, {}) == 3);
  CHECK(allot(scores, sizes, {{"score", 0.5}}) == 4);
  CHECK(allot(scores, sizes, {{"score", 3.5}}) == 0);
  CHECK(allot(scores, sizes, {{"score", -1.0}}) == 8);
  CHECK(allot(scores, sizes, {{"most", std::int64_t{2}}}) == 2);
  CHECK(allot({}, {}, {}) == 0);
}

TEST_CASE("at_least: a unit without candidates counts nothing, whatever it scores") {
  CHECK(allot({5.0F, 1.0F}, {0, 1}, {}) == 1);
}

TEST_CASE("at_least: a higher score never allots more, and none more than the cap") {
  Rng rng(3);
  std::vector<float> scores(50);
  std::ranges::generate(scores, [&rng] { return static_cast<float>(rng.normal()); });
  const std::vector<std::int32_t> sizes(50, 1);
  std::int64_t before = 50;
  for (const double score : {-9.0, -1.0, -0.5, 0.0, 0.25, 1.0, 9.0}) {
    const std::int64_t entries = allot(scores, sizes, {{"score", score}});
    CHECK(entries == std::ranges::count_if(scores, [score](float one) { return one >= score; }));
    CHECK(entries <= before);
    CHECK(allot(scores, sizes, {{"score", score}, {"most", std::int64_t{7}}}) ==
          std::min<std::int64_t>(7, entries));
    before = entries;
  }
}

}  // namespace
}  // namespace kvr
