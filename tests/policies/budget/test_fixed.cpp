#include <doctest/doctest.h>

#include "sim/interfaces/budget.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

TEST_CASE("fixed: every head gets the same number, zero included, whatever is visible") {
  const HeadCandidates one = {
      .layer = 0, .head = 0, .visible = 1, .candidates = 0, .scores = {}, .sizes = {}};
  const HeadCandidates many = {
      .layer = 0, .head = 1, .visible = 5000, .candidates = 4000, .scores = {}, .sizes = {}};
  const std::vector<HeadCandidates> heads = {one, many};
  for (const std::int64_t entries : {0, 7, 1024}) {
    const auto budget = test::make<Budget>("fixed", {{"entries", entries}},
                                           {.layers = 1, .kv_heads = 2, .prompt_entries = 8});
    std::vector<std::int64_t> allotted(2, -1);
    budget->allot(heads, allotted);
    CHECK(allotted == std::vector<std::int64_t>{entries, entries});
  }
}

}  // namespace
}  // namespace kvr
