#include <doctest/doctest.h>

#include <cmath>

#include "sim/interfaces/scorer.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

std::unique_ptr<Scorer> make(std::int64_t window, std::int64_t kernel, const std::string& pool) {
  return test::make<Scorer>("window_attention", {{"window", window}, {"kernel", kernel}, {"pool", pool}},
                            {.head_dim = 1, .group = 1, .attention_scale = 1.0, .head = {}, .root_seed = 1});
}

/// Keys 0, 0, log 2, 0 and a window of the last query, which is 1: weights 1/5, 1/5, 2/5, 1/5.
std::vector<float> scores_of(std::int64_t kernel, const std::string& pool) {
  const test::Sequence sequence({0, 0, std::log(2.0F), 0}, 1);
  const auto tokens = test::make<Clustering>("token", {}, {.head_dim = 1, .head = {}, .root_seed = 1});
  const auto scorer = make(1, kernel, pool);
  const std::vector<float> queries = {1.0F};
  const std::vector<std::int64_t> positions = {3};
  Work work;
  ChangeList changes;
  scorer->begin({.rows = sequence.view(4),
                 .window_queries = matrix_view(queries.data(), 1, 1),
                 .window_positions = positions},
                work);
  tokens->build(sequence.view(4), changes, work);
  scorer->update(changes, *tokens, sequence.view(4), work);
  std::vector<float> scores(4);
  scorer->score(matrix_view(queries.data(), 1, 1), *tokens, sequence.view(4), matrix_ref(scores.data(), 1, 4),
                work);
  return scores;
}

void check_scores(const std::vector<float>& scores, const std::vector<double>& expected) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    CHECK(scores[i] == doctest::Approx(expected[i]).epsilon(1e-3));  // log 2 in fp16
  }
}

TEST_CASE(
    "window_attention: without pooling it is the softmax over the prompt; the window itself counts nothing") {
  check_scores(scores_of(1, "mean"), {0.2, 0.2, 0.4, 0.0});
}

TEST_CASE("window_attention: means over three are low at the ends, maxima are never below the entry's own") {
  check_scores(scores_of(3, "mean"), {0.4 / 3, 0.8 / 3, 0.6 / 3, 0.0});
  check_scores(scores_of(3, "max"), {0.2, 0.4, 0.4, 0.0});
}

/// [2, 4] of two query heads, the first of which gives entries 2/5, 1/5, 1/5 and the second 1/5, 1/5, 2/5.
std::vector<float> scores_of_two(const std::string& group) {
  const float log2 = std::log(2.0F);
  const test::Sequence sequence({log2, 0, 0, 0, 0, log2, 0, 0}, 2);
  const auto tokens = test::make<Clustering>("token", {}, {.head_dim = 2, .head = {}, .root_seed = 1});
  const auto scorer =
      test::make<Scorer>("window_attention",
                         {{"window", std::int64_t{1}},
                          {"kernel", std::int64_t{3}},
                          {"pool", std::string("max")},
                          {"group", group}},
                         {.head_dim = 2, .group = 2, .attention_scale = 1.0, .head = {}, .root_seed = 1});
  const std::vector<float> queries = {1, 0, 0, 1};
  const std::vector<std::int64_t> positions = {3};
  Work work;
  ChangeList changes;
  scorer->begin({.rows = sequence.view(4),
                 .window_queries = matrix_view(queries.data(), 2, 2),
                 .window_positions = positions},
                work);
  tokens->build(sequence.view(4), changes, work);
  std::vector<float> scores(8);
  scorer->score(matrix_view(queries.data(), 2, 2), *tokens, sequence.view(4), matrix_ref(scores.data(), 2, 4),
                work);
  return scores;
}

TEST_CASE("window_attention: query heads are pooled apart, or added up first") {
  check_scores(scores_of_two("each"), {0.4, 0.4, 0.2, 0.0, 0.2, 0.4, 0.4, 0.0});
  check_scores(scores_of_two("sum"), {0.6, 0.6, 0.6, 0.0, 0.6, 0.6, 0.6, 0.0});
}

TEST_CASE("window_attention asks for the queries of its window") {
  CHECK(make(32, 5, "mean")->needs().prompt_window == 32);
}

}  // namespace
}  // namespace kvr
