#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/interfaces/codec.hpp"
#include "tests/policies/codec/fitted_codec.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

using test::FittedCodec;
using test::Sequence;

MatrixView<float> first_of(const Sequence& queries, std::int64_t count) {
  return matrix_view(queries.key(0).data(), count, queries.head_dim());
}

/// Fitted to all of the first `entries` keys and asked by the first `asked` queries.
FittedCodec prune(double share, const Sequence& keys, EntryIndex entries, const Sequence& queries,
                  std::int64_t asked) {
  return {"channel_prune", {{"share", share}}, keys, entries, first_of(queries, asked)};
}

TEST_CASE("channel_prune: the channel that queries and keys have least of together is dropped") {
  // Energies of queries 1, 4, 100, 4; of keys 25, 9, 0.25, 9: their products are 25, 36, 25, 36.
  const Sequence keys({3, 0, 0.5F, 3, 4, 3, 0, 0}, 4);
  const Sequence queries({1, 0, 6, 2, 0, 2, 8, 0}, 4);
  FittedCodec one = prune(0.25, keys, 2, queries, 2);
  CHECK(one.codec().row_bytes(4) == 2 * 3);
  CHECK(one.head().dram_bytes() == 1);
  CHECK(one.round_trip(keys.key(0)) == std::vector<float>{3, 0, 0, 3});  // of equals the later goes
  FittedCodec two = prune(0.5, keys, 2, queries, 2);
  CHECK(two.round_trip(keys.key(1)) == std::vector<float>{0, 3, 0, 0});
  CHECK(two.round_trip(keys.key(0)) == std::vector<float>{0, 0, 0, 3});
}

TEST_CASE("channel_prune: what stages have removed has no say") {
  const Sequence keys({1, 2, 0, 0, 100, 0}, 2);
  const Sequence queries({1, 1}, 2);
  EntrySet live = EntrySet::first(3);
  live.remove(2);
  FittedCodec pruned = prune(0.5, keys, 3, queries, 1);
  CHECK(pruned.round_trip(keys.key(0)) == std::vector<float>{1, 0});
  FittedCodec of_live("channel_prune", {{"share", 0.5}}, keys, 3, live, first_of(queries, 1));
  CHECK(of_live.round_trip(keys.key(0)) == std::vector<float>{0, 2});
}

double energy_at(const Sequence& rows, std::int64_t count, std::size_t channel) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < count; ++i) {
    const double value = static_cast<double>(rows.key(i)[channel]);
    sum += value * value;
  }
  return sum;
}

TEST_CASE("channel_prune: no other mask of its size keeps more of the product of energies") {
  constexpr std::int64_t kDim = 10;
  constexpr std::int64_t kEntries = 40;
  constexpr std::int64_t kQueries = 6;
  Rng rng(11);
  const Sequence keys = Sequence::random(kEntries, kDim, rng);
  const Sequence queries = Sequence::random(kQueries, kDim, rng);
  for (const double share : {0.1, 0.29, 0.5, 0.9}) {
    CAPTURE(share);
    FittedCodec pruned = prune(share, keys, kEntries, queries, kQueries);
    const std::vector<float> ones(kDim, 1.0F);
    const std::vector<float> kept = pruned.round_trip(ones);
    std::vector<double> worth(kDim);
    double best = 0.0;
    std::uint32_t mask = 0;
    for (std::size_t channel = 0; channel < worth.size(); ++channel) {
      worth[channel] = energy_at(queries, kQueries, channel) * energy_at(keys, kEntries, channel);
      best += kept[channel] > 0.0F ? worth[channel] : 0.0;
      mask |= kept[channel] > 0.0F ? 1U << channel : 0U;
    }
    CHECK(2 * std::popcount(mask) == pruned.codec().row_bytes(kDim));
    for (std::uint32_t other = 0; other < 1U << kDim; ++other) {
      double sum = 0.0;
      for (std::size_t channel = 0; channel < worth.size(); ++channel) {
        sum += (other >> channel & 1U) != 0 ? worth[channel] : 0.0;
      }
      CHECK_UNARY(std::popcount(other) != std::popcount(mask) || sum <= best + 1e-9 * best);
    }
  }
}

TEST_CASE("channel_prune: a score is off by the products of the dropped channels; signs have no say") {
  constexpr std::int64_t kDim = 12;
  constexpr std::int64_t kEntries = 30;
  Rng rng(12);
  const Sequence keys = Sequence::random(kEntries, kDim, rng);
  const Sequence queries = Sequence::random(4, kDim, rng);
  std::vector<float> flipped(keys.key(0).data(), keys.key(0).data() + kEntries * kDim);
  for (std::size_t i = 0; i < flipped.size(); ++i) {
    flipped[i] *= i % kDim % 3 == 0 ? -1.0F : 1.0F;
  }
  FittedCodec pruned = prune(0.4, keys, kEntries, queries, 4);
  const Sequence mirror(flipped, kDim);
  FittedCodec mirrored = prune(0.4, mirror, kEntries, queries, 4);
  const std::vector<float> ones(kDim, 1.0F);
  const std::vector<float> mask = pruned.round_trip(ones);
  CHECK(mask == mirrored.round_trip(ones));
  CHECK(std::ranges::count(mask, 0.0F) == 4);
  for (EntryIndex entry = 0; entry < kEntries; ++entry) {
    const std::vector<float> row = pruned.round_trip(keys.key(entry));
    for (std::int64_t query = 0; query < 4; ++query) {
      double dropped = 0.0;
      for (std::size_t channel = 0; channel < row.size(); ++channel) {
        dropped += mask[channel] > 0.0F ? 0.0
                                        : static_cast<double>(queries.key(query)[channel]) *
                                              static_cast<double>(keys.key(entry)[channel]);
      }
      const double off =
          test::plain_dot(queries.key(query), keys.key(entry)) - test::plain_dot(queries.key(query), row);
      CHECK(off == doctest::Approx(dropped).epsilon(1e-9));
    }
  }
}

TEST_CASE("channel_prune: a share of 0 keeps every row as it is; one that leaves no channel is refused") {
  Rng rng(13);
  const Sequence keys = Sequence::random(20, 8, rng);
  FittedCodec pruned = prune(0.0, keys, 20, keys, 4);
  CHECK(pruned.codec().lossless());
  CHECK(pruned.codec().row_bytes(8) == 16);
  for (EntryIndex entry = 0; entry < 20; ++entry) {
    CHECK(std::ranges::equal(pruned.round_trip(keys.key(entry)), keys.key(entry)));
  }
  CHECK(test::make<Codec>("channel_prune", {}, {64})->row_bytes(64) == 2 * 39);
  CHECK(test::make<Codec>("channel_prune", {}, {64})->prompt_window() == 32);
  CHECK(test::make<Codec>("channel_prune", {}, {64})->tail() == 32);
  CHECK_THROWS_WITH_AS(test::make<Codec>("channel_prune", {{"share", 1.0}}, {64}),
                       "share: 1 drops all 64 channels; allowed: less, so that one is left", InputError);
}

}  // namespace
}  // namespace kvr
