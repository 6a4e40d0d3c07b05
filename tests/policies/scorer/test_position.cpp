#include <doctest/doctest.h>

#include "sim/interfaces/scorer.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

TEST_CASE("position: a unit ranks by its last entry, whatever the query") {
  const test::Sequence sequence({9, 1, 4, 4, 7}, 1);
  const auto pages = test::make<Clustering>("page", {{"page_tokens", std::int64_t{2}}},
                                            {.head_dim = 1, .head = {}, .root_seed = 1});
  const auto scorer = test::make<Scorer>(
      "position", {}, {.head_dim = 1, .group = 2, .attention_scale = 1.0, .head = {}, .root_seed = 1});
  ChangeList changes;
  Work work;
  pages->build(sequence.view(5), changes, work);
  scorer->update(changes, *pages, sequence.view(5), work);
  std::vector<float> scores(6);
  scorer->score(matrix_view(sequence.key(0).data(), 2, 1), *pages, sequence.view(5),
                matrix_ref(scores.data(), 2, 3), work);
  CHECK(scores == std::vector<float>{1, 3, 4, 1, 3, 4});
  CHECK(scorer->dram_bytes() == 0);
}

}  // namespace
}  // namespace kvr
