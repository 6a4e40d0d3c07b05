// What units get of the attention to what is live: by hand, and beside a softmax in double precision.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/engine/heads/choosing/unit_weights.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

/// [rows, units] of `units` over the keys of `sequence`, of which those in `gone` are removed.
std::vector<float> weights_of(const test::Sequence& sequence, std::int64_t entries, Clustering& units,
                              const std::vector<float>& queries, const std::vector<EntryIndex>& gone,
                              CandidateRange range) {
  EntrySet live = EntrySet::first(entries);
  for (const EntryIndex entry : gone) {
    live.remove(entry);
  }
  ChangeList changes;
  Work work;
  units.build(sequence.view(entries), live, changes, work);
  const std::int64_t rows = std::ssize(queries) / sequence.head_dim();
  std::vector<float> weights(static_cast<std::size_t>(rows * units.unit_count()), -1.0F);
  const Work cost =
      find_unit_weights(matrix_view(queries.data(), rows, sequence.head_dim()), 1.0, sequence.view(entries),
                        live, units, {.range = range}, matrix_ref(weights.data(), rows, units.unit_count()));
  CHECK(cost.bytes == 2.0 * static_cast<double>(live.size() * sequence.head_dim()));
  return weights;
}

TEST_CASE("unit weights: removed entries get nothing, pinned ones their part of the whole, by hand") {
  // Weights of entries 0, 1, 2, 4 are as 1, 4, 1, 2 to a query of 1, and all alike to one of 0.
  const test::Sequence sequence({0, std::log(4.0F), 0, 9, std::log(2.0F)}, 1);
  const auto tokens = test::make<Clustering>("token", {}, {.head_dim = 1, .head = {}, .root_seed = 1});
  const auto weights = weights_of(sequence, 5, *tokens, {1.0F, 0.0F}, {3}, {0, 4});
  const std::vector<double> expected = {0.125, 0.5, 0.125, 0, 0, 0.25, 0.25, 0.25, 0, 0};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    CHECK(weights[i] == doctest::Approx(expected[i]).epsilon(1e-3));  // logs in fp16
  }
}

TEST_CASE("unit weights: pages have the sum of what their entries get") {
  Rng rng(4);
  const test::Sequence sequence = test::Sequence::random(30, 3, rng);
  const std::vector<float> query = {0.5F, -1.0F, 2.0F};
  const auto pages = test::make<Clustering>("page", {{"page_tokens", std::int64_t{4}}},
                                            {.head_dim = 3, .head = {}, .root_seed = 1});
  const auto weights = weights_of(sequence, 30, *pages, query, {2, 17}, {5, 27});
  std::vector<double> powers(30, 0.0);
  double sum = 0.0;
  for (std::int64_t entry = 0; entry < 30; ++entry) {
    if (entry != 2 && entry != 17) {
      powers[static_cast<std::size_t>(entry)] = std::exp(test::plain_dot(query, sequence.key(entry)));
      sum += powers[static_cast<std::size_t>(entry)];
    }
  }
  for (UnitId page = 0; page < pages->unit_count(); ++page) {
    CAPTURE(page);
    double expected = 0.0;
    for (const EntryIndex entry : pages->members(page)) {
      expected += entry >= 5 && entry < 27 ? powers[static_cast<std::size_t>(entry)] / sum : 0.0;
    }
    CHECK(weights[static_cast<std::size_t>(page)] == doctest::Approx(expected).epsilon(1e-5));
  }
}

}  // namespace
}  // namespace kvr
