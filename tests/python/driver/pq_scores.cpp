// Scores of the product_quantisation scorer for keys and queries of the caller, for comparison with other
// software.
//
//   pq_scores HEAD_DIM PROMPT SUBSPACES BITS QUERIES < KEYS_THEN_QUERIES > SCORES
//
// In and out are little-endian float32, without a header: queries are the last QUERIES rows of HEAD_DIM
// numbers, keys all rows before them; SCORES is [QUERIES, keys]. The codebooks are those of the first PROMPT
// keys, from Lloyd iterations until nothing moves; the keys are given to the scorer as they are in fp16. The
// attention scale is 1, so the identity matrix as queries gives the keys back as their codes and codebooks
// say.
#include <fmt/format.h>

#include <cstdio>
#include <cstring>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/scorer.hpp"

namespace kvr {
namespace {

struct Arguments {
  std::int64_t head_dim;
  std::int64_t prompt;
  std::int64_t subspaces;
  std::int64_t bits;
  std::int64_t queries;
};

std::vector<float> read_numbers() {
  const std::string bytes{std::istreambuf_iterator<char>(std::cin), {}};
  std::vector<float> numbers(bytes.size() / sizeof(float));
  std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(float));
  return numbers;
}

std::vector<float> scores_of(const Arguments& given, const std::vector<Half>& keys,
                             std::span<const float> queries) {
  const std::int64_t entries = std::ssize(keys) / given.head_dim;
  const auto view = [&](std::int64_t count) {
    const auto rows = matrix_view<Half>(keys.data(), count, given.head_dim);
    return HeadView{rows, rows};
  };
  const auto scorer = Registry<Scorer>::instance().create("product_quantisation",
                                                          {{"subspaces", given.subspaces},
                                                           {"bits", given.bits},
                                                           {"iterations", std::int64_t{10000}},
                                                           {"tolerance", 0.0}},
                                                          {.head_dim = given.head_dim,
                                                           .group = given.queries,
                                                           .attention_scale = 1.0,
                                                           .head = {},
                                                           .root_seed = 1});
  const auto tokens = Registry<Clustering>::instance().create(
      "token", {}, {.head_dim = given.head_dim, .head = {}, .root_seed = 1});
  ChangeList changes;
  Work work;
  tokens->build(view(entries), changes, work);
  scorer->update({}, *tokens, view(given.prompt), work);
  scorer->update({}, *tokens, view(entries), work);
  std::vector<float> scores(static_cast<std::size_t>(given.queries * entries));
  scorer->score(matrix_view(queries.data(), given.queries, given.head_dim), *tokens, view(entries),
                matrix_ref(scores.data(), given.queries, entries), work);
  return scores;
}

void run(const Arguments& given) {
  const std::vector<float> numbers = read_numbers();
  const auto keys =
      std::span(numbers).first(numbers.size() - static_cast<std::size_t>(given.queries * given.head_dim));
  std::vector<Half> halves(keys.size());
  to_half(keys, halves);
  const std::vector<float> scores = scores_of(given, halves, std::span(numbers).subspan(keys.size()));
  std::fwrite(scores.data(), sizeof(float), scores.size(), stdout);
}

}  // namespace
}  // namespace kvr

int main(int argc, char** argv) {
  if (argc != 6) {
    fmt::print(stderr,
               "usage: pq_scores HEAD_DIM PROMPT SUBSPACES BITS QUERIES < KEYS_THEN_QUERIES > SCORES\n");
    return 2;
  }
  kvr::run({std::stoll(argv[1]), std::stoll(argv[2]), std::stoll(argv[3]), std::stoll(argv[4]),
            std::stoll(argv[5])});
  return 0;
}
