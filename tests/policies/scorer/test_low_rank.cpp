#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/base/files/temporary_folder.hpp"
#include "sim/calibration/basis_file.hpp"
#include "sim/interfaces/scorer.hpp"
#include "sim/kernels/principal_directions.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

using test::Sequence;

Scorer::Context context(std::int64_t head_dim, std::int64_t group, double scale, std::int64_t heads = 1) {
  return {.head_dim = head_dim,
          .group = group,
          .attention_scale = scale,
          .head = {},
          .root_seed = 1,
          .heads = heads};
}

/// A scorer over units of one entry, told of the first `entries`.
struct Asked {
  Asked(const ParamValues& params, const Scorer::Context& with, const Sequence& sequence, EntryIndex entries)
      : scorer(test::make<Scorer>("low_rank", params, with)),
        units(test::make<Clustering>("page", {{"page_tokens", std::int64_t{2}}}, {with.head_dim, {}, 1})),
        view(sequence.view(entries)) {
    Work work;
    scorer->begin({.rows = view}, work);
    ChangeList changes;
    units->build(view, changes, work);
    scorer->update(changes, *units, view, work);
  }

  /// [group, units].
  std::vector<float> scores(const Sequence& queries, std::int64_t group) {
    std::vector<float> found(static_cast<std::size_t>(group * units->unit_count()));
    Work work;
    scorer->score(matrix_view(queries.key(0).data(), group, queries.head_dim()), *units, view,
                  matrix_ref(found.data(), group, units->unit_count()), work);
    score_work = work;
    return found;
  }

  std::unique_ptr<Scorer> scorer;
  std::unique_ptr<Clustering> units;
  HeadView view;
  Work score_work;
};

TEST_CASE("low_rank: keys (3, 0), (1, 0), (2, 0) and (0, 1) have one direction of note, the first channel") {
  const Sequence sequence({3, 0, 1, 0, 2, 0, 0, 1}, 2);
  const Sequence query({0.5F, 8}, 2);
  Asked asked({{"rank", std::int64_t{1}}}, context(2, 1, 0.5), sequence, 4);
  // The sum of x x^T is diag(14, 1): of (0.5, 8) only 0.5 is asked. Pages (3, 1) and (2, 0), scaled by 0.5.
  CHECK(asked.scores(query, 1) == std::vector<float>{0.75F, 0.5F});
  CHECK(asked.scorer->dram_bytes() == 2 * (4 + 2));
  CHECK(asked.score_work.flops == 2.0 * (2 + 4));
  CHECK(asked.score_work.bytes == 2.0 * (2 + 4));
}

TEST_CASE("low_rank: the mean of the query heads is taken before the largest entry of a unit, not after") {
  // All directions: the logits are the true ones. Query heads (2, 0) and (0, 2) over keys (3, 0), (0, 3):
  // each head's largest is 6, the mean query (1, 1) has 3 and 3.
  const Sequence sequence({3, 0, 0, 3}, 2);
  const Sequence queries({2, 0, 0, 2}, 2);
  Asked each({{"rank", std::int64_t{2}}}, context(2, 2, 1.0), sequence, 2);
  CHECK(each.scores(queries, 2) == std::vector<float>{6.0F, 6.0F});
  Asked mean({{"rank", std::int64_t{2}}, {"queries", std::string("mean")}}, context(2, 2, 1.0), sequence, 2);
  CHECK(mean.scores(queries, 2) == std::vector<float>{3.0F, 3.0F});
}

TEST_CASE("low_rank: without a rank an eighth of the channels, rounded up, are kept as directions") {
  Rng rng(1);
  const Sequence sequence = Sequence::random(10, 20, rng);
  Asked asked({}, context(20, 1, 1.0), sequence, 10);
  CHECK(asked.scorer->dram_bytes() == 2 * 3 * (10 + 20));
}

TEST_CASE("low_rank: with as many directions as channels every unit gets its largest true logit") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const Sequence sequence = Sequence::random(120, 8, rng);
    const Sequence queries = Sequence::random(2, 8, rng);
    Asked asked({{"rank", std::int64_t{8}}}, context(8, 2, 0.25), sequence, 120);
    const auto scores = asked.scores(queries, 2);
    for (std::int64_t query = 0; query < 2; ++query) {
      for (UnitId unit = 0; unit < asked.units->unit_count(); ++unit) {
        double largest = -1e9;
        for (const EntryIndex entry : asked.units->members(unit)) {
          largest = std::max(largest, 0.25 * test::plain_dot(queries.key(query), sequence.key(entry)));
        }
        const float score = scores[static_cast<std::size_t>(query * asked.units->unit_count() + unit)];
        REQUIRE(std::abs(static_cast<double>(score) - largest) < 0.01);  // two roundings to fp16
      }
    }
  }
}

TEST_CASE(
    "low_rank: Loki's invariants: a logit misses no more than what lies across the directions, which hold "
    "no less than their share of the keys") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const Sequence keys = Sequence::random(120, 8, rng);
    const Sequence query = Sequence::random(1, 8, rng);
    const auto token = test::make<Clustering>("token", {}, {8, {}, 1});
    const auto scorer = test::make<Scorer>("low_rank", {{"rank", std::int64_t{3}}}, context(8, 1, 0.25));
    Work work;
    ChangeList changes;
    scorer->begin({.rows = keys.view(120)}, work);
    token->build(keys.view(120), changes, work);
    scorer->update(changes, *token, keys.view(120), work);
    std::vector<float> scores(120);
    scorer->score(matrix_view(query.key(0).data(), 1, 8), *token, keys.view(120),
                  matrix_ref(scores.data(), 1, 120), work);
    kernels::RowProducts products(8);
    products.add(matrix_view(keys.key(0).data(), 120, 8));
    const kernels::PrincipalDirections found = products.directions(3, false);
    double energy = 0.0;
    for (const double share : found.energy) {
      energy += share;
    }
    CHECK(energy >= 3.0 / 8.0);
    const auto across = [&found](std::span<const float> row) {
      double rest = test::plain_dot(row, row);
      for (std::size_t direction = 0; direction < 3; ++direction) {
        double along = 0.0;
        for (std::size_t channel = 0; channel < 8; ++channel) {
          along +=
              static_cast<double>(row[channel]) * static_cast<double>(found.basis[channel * 3 + direction]);
        }
        rest -= along * along;
      }
      return std::sqrt(std::max(0.0, rest));
    };
    for (EntryIndex entry = 0; entry < 120; ++entry) {
      const double exact = 0.25 * test::plain_dot(query.key(0), keys.key(entry));
      const double missed = std::abs(static_cast<double>(scores[static_cast<std::size_t>(entry)]) - exact);
      CHECK(missed <= 0.25 * across(query.key(0)) * across(keys.key(entry)) + 0.01);  // rounding to fp16
    }
  }
}

TEST_CASE("low_rank: follows appends, splits and removals as if it had been told all at once") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const Sequence sequence = Sequence::random(150, 8, rng);
    const Sequence queries = Sequence::random(1, 8, rng);
    test::RandomClustering clustering(rng, 20);
    const auto scorer = test::make<Scorer>("low_rank", {{"rank", std::int64_t{3}}}, context(8, 1, 1.0));
    Work work;
    ChangeList changes;
    scorer->begin({.rows = sequence.view(20)}, work);
    clustering.build(sequence.view(20), changes, work);
    scorer->update(changes, clustering, sequence.view(20), work);
    std::int64_t live = 20;
    for (EntryIndex entry = 20; entry < 150; ++entry) {
      const HeadView view = sequence.view(entry + 1);
      changes.clear();
      clustering.append(entry, view, test::NothingResident{}, changes, work);
      scorer->update(changes, clustering, view, work);
      changes.clear();
      const auto leaving = test::to_remove(clustering, rng);
      clustering.remove(leaving, view, changes, work);
      scorer->update(changes, clustering, view, work);
      live += 1 - std::ssize(leaving);
    }
    std::int64_t members = 0;
    for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
      members += std::ssize(clustering.members(unit));
    }
    CHECK(live >= members);  // the others wait for a unit
    CHECK(scorer->dram_bytes() == 2 * 3 * (members + 8));
  }
}

/// One layer, number 4, of one set of `width` channels, whose directions are the channels in reverse.
BasisFile reversed_channels(std::int64_t width) {
  KeyBasis basis{.width = width,
                 .rank = width,
                 .basis = std::vector<Half>(static_cast<std::size_t>(width * width)),
                 .energy = std::vector<float>(static_cast<std::size_t>(width), 0.5F)};
  for (std::int64_t i = 0; i < width; ++i) {
    basis.basis[static_cast<std::size_t>(i * width + width - 1 - i)] = to_half(1.0F);
  }
  return {.model = "by hand",
          .source = "none",
          .rows = 1,
          .together = true,
          .centred = false,
          .kv_heads = {1},
          .layers = {4},
          .bases = {{basis}}};
}

std::string problem_of(const std::filesystem::path& path, const Scorer::Context& with, std::int64_t rank) {
  try {
    test::make<Scorer>("low_rank", {{"rank", rank}, {"calibration", path.string()}}, with);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("low_rank: takes the first directions of a calibration, and says what a wrong one lacks") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "basis.h5";
  reversed_channels(2).write(path);
  const std::vector<std::int64_t> kv_heads{1};
  Scorer::Context fourth = context(2, 1, 1.0);
  fourth.layer_number = 4;
  fourth.model_name = "by hand";
  fourth.kv_heads = kv_heads;
  const Sequence sequence({3, 5, 1, 7}, 2);
  Asked asked({{"rank", std::int64_t{1}}, {"calibration", path.string()}}, fourth, sequence, 2);
  CHECK(asked.scores(Sequence({1, 1}, 2), 1) == std::vector<float>{7.0F});  // the second channel alone
  CHECK(asked.scorer->dram_bytes() == 2 * (2 + 2));
  fourth.head.sequence = 1;  // shares the basis of the first
  Asked second({{"rank", std::int64_t{1}}, {"calibration", path.string()}}, fourth, sequence, 2);
  CHECK(second.scorer->dram_bytes() == 2 * 2);

  Scorer::Context lowest = fourth;
  lowest.layer_number = 0;
  CHECK(problem_of(path, lowest, 1).find("has nothing of layer 0") != std::string::npos);
  Scorer::Context wide = fourth;
  wide.head_dim = 3;
  CHECK(problem_of(path, wide, 1).find("of 2 channels, and that of set 0 of 3 channels") !=
        std::string::npos);
  CHECK(problem_of(folder / "none.h5", fourth, 1).find("calibration: ") == 0);
  CHECK(problem_of(path, fourth, 3).find("rank: 3 directions of 2 channels") == 0);
}

TEST_CASE("low_rank: refuses a calibration of another model or of other KV heads, and tells of both") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "basis.h5";
  reversed_channels(2).write(path);
  const std::vector<std::int64_t> kv_heads{0, 1};
  Scorer::Context other = context(2, 1, 1.0);
  other.layer_number = 4;
  other.model_name = "by foot";
  other.kv_heads = kv_heads;
  const std::string problem = problem_of(path, other, 1);
  CHECK(problem.find("is of the model 'by hand', and the trace of 'by foot'; allowed: ") !=
        std::string::npos);
  CHECK(problem.find("is of the KV heads 1 of each layer, and the trace has 0, 1; allowed: ") !=
        std::string::npos);
}

}  // namespace
}  // namespace kvr
