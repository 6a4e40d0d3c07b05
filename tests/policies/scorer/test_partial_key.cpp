// A few channels of the keys: cases by hand, InfiniGen's invariants, and a plain reference.
#include <doctest/doctest.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/interfaces/scorer.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

using test::Sequence;

Scorer::Context context(std::int64_t head_dim, std::int64_t group, std::int64_t heads = 1) {
  return {.head_dim = head_dim,
          .group = group,
          .attention_scale = 0.5,
          .head = {},
          .root_seed = 1,
          .heads = heads};
}

/// Over single entries, told of all of `sequence` up to `entries`. `window`: [positions * group, head_dim].
struct Asked {
  Asked(const ParamValues& params, const Scorer::Context& with, const Sequence& sequence, EntryIndex entries,
        const Sequence& window, std::int64_t positions)
      : scorer(test::make<Scorer>("partial_key", params, with)),
        units(test::make<Clustering>("token", {}, {with.head_dim, {}, 1})),
        view(sequence.view(entries)) {
    std::vector<std::int64_t> places(static_cast<std::size_t>(positions));
    std::iota(places.begin(), places.end(), entries - positions);
    Work work;
    scorer->begin({.rows = view,
                   .window_queries = matrix_view(window.key(0).data(), positions * with.group, with.head_dim),
                   .window_positions = places},
                  work);
    ChangeList changes;
    units->build(view, changes, work);
    update_work = {};
    scorer->update(changes, *units, view, update_work);
  }

  /// [group, entries].
  std::vector<float> scores(const Sequence& queries, std::int64_t group) {
    std::vector<float> found(static_cast<std::size_t>(group * units->unit_count()));
    score_work = {};
    scorer->score(matrix_view(queries.key(0).data(), group, queries.head_dim()), *units, view,
                  matrix_ref(found.data(), group, units->unit_count()), score_work);
    return found;
  }

  std::unique_ptr<Scorer> scorer;
  std::unique_ptr<Clustering> units;
  HeadView view;
  Work update_work;
  Work score_work;
};

TEST_CASE("partial_key: of channels as they are, those in which the window's queries are largest") {
  // Summed magnitudes of the window: 3, 5, 1, 4. Half the channels: the second and the fourth.
  const Sequence window({2, -3, 0, 4, -1, 2, 1, 0}, 4);
  const Sequence keys({1, 2, 3, 4, 100, 1, 100, -1, 0, -2, 0, 0}, 4);
  Asked asked({{"share", 0.5}, {"skew", false}, {"window", std::int64_t{2}}}, context(4, 1), keys, 3, window,
              2);
  // 0.5 * (10 * second + 1 * fourth).
  CHECK(asked.scores(Sequence({7, 10, 7, 1}, 4), 1) == std::vector<float>{12.0F, 4.5F, -10.0F});
  CHECK(asked.scorer->dram_bytes() == 2 * 2 * 3 + 4 * 2);
  CHECK(asked.update_work.flops == 0.0);
  CHECK(asked.update_work.bytes == 3 * (2.0 + 2.0 + 4.0) * 2);
  CHECK(asked.score_work.flops == 2.0 * 2 * 3);
  CHECK(asked.score_work.bytes == 2.0 * 2 * 3 + 4.0 * 2);
}

TEST_CASE("partial_key: turned, queries along a diagonal need one channel, and keys across it are worth 0") {
  const Sequence window({3, 3, -1, -1}, 2);
  const Sequence keys({1, 1, 1, -1, 0, 2}, 2);
  Asked asked({{"share", 0.5}, {"window", std::int64_t{2}}}, context(2, 1), keys, 3, window, 2);
  const std::vector<float> scores = asked.scores(Sequence({2, 4}, 2), 1);
  // Of (2, 4) and the keys the shares along (1, 1): 0.5 * 3 * (2, 0, 2).
  CHECK(scores[0] == doctest::Approx(3.0).epsilon(2e-3));
  CHECK(scores[1] == doctest::Approx(0.0));
  CHECK(scores[2] == doctest::Approx(3.0).epsilon(2e-3));
  CHECK(asked.scorer->dram_bytes() == 2 * 1 * 3 + 2 * 2 * 1);
  CHECK(asked.update_work.flops == 3 * 2.0 * 2 * 1);
  CHECK(asked.update_work.bytes == 3 * 2.0 * (2 + 2 + 1));
  CHECK(asked.score_work.flops == 2.0 * (2 + 3));
  CHECK(asked.score_work.bytes == 2.0 * (2 + 3));
}

TEST_CASE("partial_key: only the last positions of a longer window count, and one channel stays at least") {
  const Sequence window({9, 0, 0, 1, 0, 1}, 2);
  const Sequence keys({5, 2, 6, 3, 7, 4}, 2);
  Asked asked({{"share", 0.1}, {"skew", false}, {"window", std::int64_t{2}}}, context(2, 1), keys, 3, window,
              3);
  CHECK(asked.scores(Sequence({1, 1}, 2), 1) == std::vector<float>{1.0F, 1.5F, 2.0F});
  CHECK(asked.scorer->needs().prompt_window == 2);
}

TEST_CASE("partial_key: InfiniGen's invariant: with all channels logits are exact, turned or not") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const Sequence keys = Sequence::random(80, 8, rng);
    const Sequence window = Sequence::random(3 * 2, 8, rng);  // fewer than channels
    const Sequence queries = Sequence::random(2, 8, rng);
    for (const bool skew : {true, false}) {
      Asked asked({{"share", 1.0}, {"skew", skew}, {"window", std::int64_t{3}}}, context(8, 2), keys, 80,
                  window, 3);
      const std::vector<float> scores = asked.scores(queries, 2);
      for (std::int64_t query = 0; query < 2; ++query) {
        for (EntryIndex entry = 0; entry < 80; ++entry) {
          const double exact = 0.5 * test::plain_dot(queries.key(query), keys.key(entry));
          const auto score = static_cast<double>(scores[static_cast<std::size_t>(query * 80 + entry)]);
          REQUIRE(std::abs(score - exact) < 0.01);  // A and the turned keys are rounded to fp16
        }
      }
    }
  }
}

/// Logits by a plain singular value decomposition in double precision.
std::vector<double> reference(const Sequence& keys, const Sequence& window, std::int64_t rows,
                              std::int64_t columns, std::span<const float> query) {
  const std::int64_t d = keys.head_dim();
  Eigen::MatrixXd q(rows, d);
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t channel = 0; channel < d; ++channel) {
      q(row, channel) = static_cast<double>(window.key(row)[static_cast<std::size_t>(channel)]);
    }
  }
  const Eigen::MatrixXd a = q.jacobiSvd(Eigen::ComputeFullV).matrixV();
  const Eigen::VectorXd sums = (q * a).cwiseAbs().colwise().sum();
  std::vector<std::int64_t> order(static_cast<std::size_t>(d));
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, [&](std::int64_t x, std::int64_t y) { return sums(x) > sums(y); });
  const auto along = [&](std::span<const float> row, std::int64_t column) {
    double sum = 0.0;
    for (std::int64_t channel = 0; channel < d; ++channel) {
      sum += static_cast<double>(row[static_cast<std::size_t>(channel)]) * a(channel, column);
    }
    return sum;
  };
  std::vector<double> logits;
  for (EntryIndex entry = 0; entry < 60; ++entry) {
    double logit = 0.0;
    for (std::int64_t i = 0; i < columns; ++i) {
      const std::int64_t column = order[static_cast<std::size_t>(i)];
      logit += 0.5 * along(query, column) * along(keys.key(entry), column);
    }
    logits.push_back(logit);
  }
  return logits;
}

TEST_CASE("partial_key: a plain decomposition of the window gives the same logits") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const Sequence keys = Sequence::random(60, 8, rng);
    const Sequence window = Sequence::random(5 * 2, 8, rng);
    const Sequence queries = Sequence::random(2, 8, rng);
    Asked asked({{"share", 0.4}, {"window", std::int64_t{5}}}, context(8, 2), keys, 60, window, 5);
    const std::vector<float> scores = asked.scores(queries, 2);
    for (std::int64_t query = 0; query < 2; ++query) {
      const std::vector<double> expected = reference(keys, window, 10, 3, queries.key(query));
      for (std::size_t entry = 0; entry < 60; ++entry) {
        const auto score = static_cast<double>(scores[static_cast<std::size_t>(query) * 60 + entry]);
        REQUIRE(std::abs(score - expected[entry]) < 0.02);
      }
    }
  }
}

TEST_CASE("partial_key: heads that decide together are turned and cut each by its own queries") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    constexpr std::int64_t kDim = 6;
    constexpr std::int64_t kEntries = 30;
    const ParamValues params = {{"share", 0.5}, {"window", std::int64_t{4}}};
    std::vector<float> joint_keys(static_cast<std::size_t>(kEntries * 2 * kDim));
    std::vector<float> joint_window(static_cast<std::size_t>(4 * 2 * 2 * kDim), 0.0F);
    std::vector<float> joint_queries(static_cast<std::size_t>(2 * 2 * kDim), 0.0F);
    std::vector<std::vector<float>> apart;
    std::int64_t bytes = 0;
    double flops = 0.0;
    for (std::int64_t head = 0; head < 2; ++head) {
      const Sequence keys = Sequence::random(kEntries, kDim, rng);
      const Sequence window = Sequence::random(4, kDim, rng);
      const Sequence query = Sequence::random(1, kDim, rng);
      const auto put = [&](const Sequence& from, std::int64_t row, std::vector<float>& into,
                           std::int64_t at) {
        std::ranges::copy(from.key(row), into.begin() + at * 2 * kDim + head * kDim);
      };
      for (std::int64_t entry = 0; entry < kEntries; ++entry) {
        put(keys, entry, joint_keys, entry);
      }
      for (std::int64_t t = 0; t < 4; ++t) {
        put(window, t, joint_window, t * 2 + head);
      }
      put(query, 0, joint_queries, head);
      Asked one(params, context(kDim, 1), keys, kEntries, window, 4);
      apart.push_back(one.scores(query, 1));
      bytes += one.scorer->dram_bytes();
      flops += one.update_work.flops + one.score_work.flops;
    }
    Asked both(params, context(2 * kDim, 2, 2), Sequence(joint_keys, 2 * kDim), kEntries,
               Sequence(joint_window, 2 * kDim), 4);
    const std::vector<float> scores = both.scores(Sequence(joint_queries, 2 * kDim), 2);
    for (std::size_t head = 0; head < 2; ++head) {
      for (std::size_t entry = 0; entry < kEntries; ++entry) {
        REQUIRE(scores[head * kEntries + entry] == doctest::Approx(apart[head][entry]).epsilon(1e-5));
      }
    }
    CHECK(both.scorer->dram_bytes() == bytes);
    CHECK(both.update_work.flops + both.score_work.flops == flops);
  }
}

TEST_CASE("partial_key: follows appends, splits and removals") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const Sequence keys = Sequence::random(150, 8, rng);
    const Sequence window = Sequence::random(4, 8, rng);
    const std::vector<std::int64_t> places = {16, 17, 18, 19};
    test::RandomClustering clustering(rng, 20);
    const auto scorer =
        test::make<Scorer>("partial_key", {{"share", 0.5}, {"window", std::int64_t{4}}}, context(8, 1));
    Work work;
    ChangeList changes;
    scorer->begin({.rows = keys.view(20),
                   .window_queries = matrix_view(window.key(0).data(), 4, 8),
                   .window_positions = places},
                  work);
    clustering.build(keys.view(20), changes, work);
    scorer->update(changes, clustering, keys.view(20), work);
    for (EntryIndex entry = 20; entry < 150; ++entry) {
      const HeadView view = keys.view(entry + 1);
      changes.clear();
      clustering.append(entry, view, test::NothingResident{}, changes, work);
      scorer->update(changes, clustering, view, work);
      changes.clear();
      clustering.remove(test::to_remove(clustering, rng), view, changes, work);
      scorer->update(changes, clustering, view, work);
    }
    std::int64_t members = 0;
    for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
      members += std::ssize(clustering.members(unit));
    }
    CHECK(scorer->dram_bytes() == 2 * 4 * (members + 8));
  }
}

}  // namespace
}  // namespace kvr
