#include <doctest/doctest.h>

#include <numeric>

#include "sim/interfaces/scorer.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

std::vector<float> scores_of(Scorer& scorer, const Clustering& tokens, const test::Sequence& sequence,
                             std::int64_t entries) {
  std::vector<float> scores(static_cast<std::size_t>(2 * tokens.unit_count()));
  Work work;
  scorer.score(matrix_view(sequence.key(0).data(), 2, 1), tokens, sequence.view(entries),
               matrix_ref(scores.data(), 2, tokens.unit_count()), work);
  return scores;
}

TEST_CASE(
    "accumulated_attention: sums of the prompt grow by what each step gives, and a removed entry's go") {
  const test::Sequence sequence({1, 2, 3}, 1);
  const auto tokens = test::make<Clustering>("token", {}, {.head_dim = 1, .head = {}, .root_seed = 1});
  const auto scorer =
      test::make<Scorer>("accumulated_attention", {},
                         {.head_dim = 1, .group = 2, .attention_scale = 1.0, .head = {}, .root_seed = 1});
  CHECK(scorer->needs().prompt_attention_sums);
  CHECK(scorer->wants_attention());

  const std::vector<float> sums = {1.5F, 0.5F, 1.0F, 1.0F};  // [query][entry], each row of two queries
  Work work;
  scorer->begin({.rows = sequence.view(2), .attention_sums = matrix_view(sums.data(), 2, 2)}, work);
  ChangeList changes;
  tokens->build(sequence.view(2), changes, work);
  scorer->update(changes, *tokens, sequence.view(2), work);
  CHECK(scores_of(*scorer, *tokens, sequence, 2) == sums);

  const std::vector<EntryIndex> entries = {0, 1, 2};
  scorer->attended(0, entries, std::vector<float>{0.25F, 0.25F, 0.5F}, work);
  scorer->attended(1, entries, std::vector<float>{0.0F, 1.0F, 0.0F}, work);
  changes.clear();
  tokens->append(2, sequence.view(3), test::NothingResident{}, changes, work);
  scorer->update(changes, *tokens, sequence.view(3), work);
  const auto after = scores_of(*scorer, *tokens, sequence, 3);
  CHECK(after == std::vector<float>{1.75F, 0.75F, 0.5F, 1.0F, 2.0F, 0.0F});
  // The prompt had two queries, and one more came for each of two query heads.
  CHECK(std::accumulate(after.begin(), after.end(), 0.0F) == 2 * (2 + 1));
  CHECK(scorer->dram_bytes() == 3 * 2 * 4);

  changes.clear();
  const EntryIndex gone = 1;
  tokens->remove({&gone, 1}, sequence.view(3), changes, work);
  scorer->update(changes, *tokens, sequence.view(3), work);
  CHECK(scorer->dram_bytes() == 2 * 2 * 4);
}

}  // namespace
}  // namespace kvr
