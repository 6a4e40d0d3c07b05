// What a selection is held against: attention over everything and its best entries.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/rng.hpp"
#include "sim/engine/walk/truth.hpp"

namespace kvr {
namespace {

constexpr std::int64_t kDim = 4;
constexpr std::int64_t kGroup = 2;

std::vector<Half> random_rows(std::int64_t rows, Rng& rng) {
  std::vector<float> floats(static_cast<std::size_t>(rows * kDim));
  std::ranges::generate(floats, [&] { return static_cast<float>(rng.normal()); });
  std::vector<Half> halves(floats.size());
  to_half(floats, halves);
  return halves;
}

/// A head of 30 entries and a query of it.
struct Case {
  explicit Case(std::uint64_t seed) : rng(Rng::stream(seed, "truth")) {}

  HeadView view() const { return {matrix_view(keys.data(), 30, kDim), matrix_view(values.data(), 30, kDim)}; }

  Rng rng;
  std::vector<Half> keys = random_rows(30, rng);
  std::vector<Half> values = random_rows(30, rng);
  std::vector<Half> queries = random_rows(kGroup, rng);
};

double as_double(Half x) {
  return static_cast<double>(to_float(x));
}

double product(std::span<const Half> a, std::span<const Half> b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += as_double(a[i]) * as_double(b[i]);
  }
  return sum;
}

/// softmax(scale * q . K) in double.
std::vector<double> plain_softmax(std::span<const Half> query, const HeadView& view, double scale) {
  std::vector<double> weights;
  for (std::int64_t e = 0; e < view.keys.rows; ++e) {
    weights.push_back(std::exp(scale * product(query, view.keys.row(e))));
  }
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::ranges::transform(weights, weights.begin(), [sum](double w) { return w / sum; });
  return weights;
}

TEST_CASE("truth: probabilities and output are those of plain attention in double") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    const Case c(seed);
    HeadTruth truth(kGroup, kDim, 0.5);
    truth.ask(c.queries, c.view());
    truth.find();
    for (std::int64_t g = 0; g < kGroup; ++g) {
      const auto query = std::span(c.queries).subspan(static_cast<std::size_t>(g * kDim), kDim);
      const std::vector<double> expected = plain_softmax(query, c.view(), 0.5);
      for (std::size_t e = 0; e < expected.size(); ++e) {
        CHECK(truth.probabilities(g)[e] == doctest::Approx(expected[e]).epsilon(1e-5));
      }
      for (std::size_t channel = 0; channel < kDim; ++channel) {
        double out = 0.0;
        for (std::size_t e = 0; e < expected.size(); ++e) {
          out += expected[e] * as_double(c.values[e * kDim + channel]);
        }
        CHECK(truth.out(g)[channel] == doctest::Approx(out).epsilon(1e-4));
      }
    }
  }
}

/// The best `count` of a range by sorting all of it.
std::vector<EntryIndex> sorted_best(std::span<const float> weights, const CandidateRange& range,
                                    std::int64_t count) {
  std::vector<EntryIndex> entries(static_cast<std::size_t>(range.size()));
  std::iota(entries.begin(), entries.end(), range.begin);
  std::ranges::stable_sort(entries, std::greater<>(),
                           [&](EntryIndex e) { return weights[static_cast<std::size_t>(e)]; });
  entries.resize(static_cast<std::size_t>(count));
  return entries;
}

TEST_CASE("truth: the best entries are right in whatever order ranges and counts are asked for") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    Case c(seed);
    HeadTruth truth(kGroup, kDim, 0.5);
    truth.ask(c.queries, c.view());
    truth.find();
    for (int question = 0; question < 12; ++question) {
      const auto begin = static_cast<EntryIndex>(c.rng.below(3));
      const CandidateRange range{begin, static_cast<EntryIndex>(28 - c.rng.below(2))};
      const auto count = static_cast<std::int64_t>(c.rng.below(static_cast<std::uint64_t>(range.size()) + 1));
      const auto query = static_cast<std::int64_t>(c.rng.below(kGroup));
      const auto best = truth.best(query, range, count);
      CHECK(std::vector(best.begin(), best.end()) == sorted_best(truth.probabilities(query), range, count));
    }
  }
}

TEST_CASE("truth: another step forgets what was found for the last one") {
  const Case first(1);
  const Case second(2);
  HeadTruth fresh(kGroup, kDim, 0.5);
  fresh.ask(second.queries, second.view());
  fresh.find();
  HeadTruth reused(kGroup, kDim, 0.5);
  reused.ask(first.queries, first.view());
  reused.find();
  reused.best(0, {0, 30}, 5);
  reused.ask(second.queries, second.view());
  reused.find();
  CHECK(std::ranges::equal(reused.probabilities(1), fresh.probabilities(1)));
  CHECK(std::ranges::equal(reused.best(0, {0, 30}, 5), fresh.best(0, {0, 30}, 5)));
}

}  // namespace
}  // namespace kvr
