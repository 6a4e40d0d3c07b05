#include <doctest/doctest.h>

#include "sim/interfaces/budget.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

std::int64_t allot(double share, std::int64_t minimum, std::int64_t visible) {
  const auto budget = test::make<Budget>("fraction", {{"share", share}, {"minimum", minimum}},
                                         {.layers = 1, .kv_heads = 1, .prompt_entries = 8});
  const HeadCandidates head = {
      .layer = 0, .head = 0, .visible = visible, .candidates = visible, .scores = {}, .sizes = {}};
  std::int64_t entries = -1;
  budget->allot({&head, 1}, {&entries, 1});
  return entries;
}

TEST_CASE("fraction: a share of the visible entries is rounded to the nearest number, halves up") {
  CHECK(allot(0.1, 0, 1000) == 100);
  CHECK(allot(0.1, 0, 104) == 10);
  CHECK(allot(0.25, 0, 10) == 3);
  CHECK(allot(0.25, 0, 9) == 2);
  CHECK(allot(1.0, 0, 77) == 77);
}

TEST_CASE("fraction: the minimum holds where the share is smaller, and zero stays possible") {
  CHECK(allot(0.1, 1, 1) == 1);
  CHECK(allot(0.1, 64, 100) == 64);
  CHECK(allot(0.0, 0, 100) == 0);
}

}  // namespace
}  // namespace kvr
