#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/kernels/attention.hpp"
#include "sim/kernels/softmax.hpp"
#include "tests/kernels/random_data.hpp"

namespace kvr::kernels {
namespace {

using Indices = std::vector<std::int32_t>;

struct Case {
  Case(Rng& rng, std::int64_t group_, std::int64_t n_, std::int64_t d_)
      : group(group_),
        n(n_),
        d(d_),
        queries(test::random_floats(rng, group_ * d_)),
        keys(test::random_halves(rng, n_ * d_)),
        values(test::random_halves(rng, n_ * d_)) {}

  MatrixView<float> query_rows() const { return matrix_view(queries.data(), group, d); }
  MatrixView<Half> key_rows() const { return matrix_view(keys.data(), n, d); }
  MatrixView<Half> value_rows() const { return matrix_view(values.data(), n, d); }

  std::int64_t group, n, d;
  std::vector<float> queries;
  std::vector<Half> keys, values;
};

struct Reference {
  std::vector<double> probabilities;
  std::vector<double> out;
  double log_sum_exp = 0.0;
};

double dot_in_double(std::span<const float> q, std::span<const Half> k) {
  double sum = 0.0;
  for (std::size_t i = 0; i < q.size(); ++i) {
    sum += static_cast<double>(q[i]) * static_cast<double>(to_float(k[i]));
  }
  return sum;
}

/// Two-pass softmax attention in double, as in a textbook.
Reference attend_in_double(std::span<const float> q, const Case& data, const Indices& entries, double scale) {
  Reference reference{{}, std::vector<double>(static_cast<std::size_t>(data.d), 0.0), 0.0};
  for (const std::int32_t e : entries) {
    reference.probabilities.push_back(scale * dot_in_double(q, data.key_rows().row(e)));
  }
  const double largest = *std::max_element(reference.probabilities.begin(), reference.probabilities.end());
  double sum = 0.0;
  for (double& p : reference.probabilities) {
    p = std::exp(p - largest);
    sum += p;
  }
  for (std::size_t i = 0; i < entries.size(); ++i) {
    reference.probabilities[i] /= sum;
    for (std::size_t c = 0; c < reference.out.size(); ++c) {
      const float value = to_float(data.value_rows().row(entries[i])[c]);
      reference.out[c] += reference.probabilities[i] * static_cast<double>(value);
    }
  }
  reference.log_sum_exp = largest + std::log(sum);
  return reference;
}

Indices first_entries(std::int64_t n) {
  Indices entries(static_cast<std::size_t>(n));
  std::iota(entries.begin(), entries.end(), 0);
  return entries;
}

void shuffle(Indices& entries, Rng& rng) {
  for (std::size_t i = entries.size(); i > 1; --i) {
    std::swap(entries[i - 1], entries[rng.below(i)]);
  }
}

void check_close(std::span<const float> got, std::span<const double> expected, double tolerance) {
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    CHECK(std::abs(static_cast<double>(got[i]) - expected[i]) <= tolerance);
  }
}

TEST_CASE("attend_all agrees with double precision for any group, length and dimension") {
  const std::uint64_t seed = 31;
  CAPTURE(seed);
  Rng rng(seed);
  for (const std::int64_t group : {1, 2, 4, 5}) {
    for (const std::int64_t n : {1, 2, 31, 32, 33, 200}) {
      for (const std::int64_t d : {1, 15, 64, 128}) {
        CAPTURE(group);
        CAPTURE(n);
        CAPTURE(d);
        const Case data(rng, group, n, d);
        const float scale = 1.0F / std::sqrt(static_cast<float>(d));
        std::vector<float> out(data.queries.size());
        std::vector<float> probabilities(static_cast<std::size_t>(group * n));
        std::vector<AttentionResult> results(static_cast<std::size_t>(group));
        const MatrixRef<float> out_rows = matrix_ref(out.data(), group, d);
        const MatrixRef<float> probability_rows = matrix_ref(probabilities.data(), group, n);
        attend_all(data.query_rows(), data.key_rows(), data.value_rows(), scale, out_rows, results,
                   probability_rows);
        for (std::int64_t j = 0; j < group; ++j) {
          const Reference expected =
              attend_in_double(data.query_rows().row(j), data, first_entries(n), static_cast<double>(scale));
          check_close(out_rows.row(j), expected.out, 3e-6);
          check_close(probability_rows.row(j), expected.probabilities, 2e-6);
          CHECK(results[static_cast<std::size_t>(j)].log_sum_exp() ==
                doctest::Approx(expected.log_sum_exp).epsilon(1e-6));
        }
      }
    }
  }
}

TEST_CASE("attention by hand: logits ln 1 and ln 3 weigh two values 1 to 3") {
  const std::vector<float> q{1.0F};
  const std::vector<Half> keys{to_half(0.0F), to_half(1.0F)};
  const std::vector<Half> values{to_half(8.0F), to_half(-4.0F)};
  std::vector<float> out(1);
  std::vector<float> probabilities(2);
  const AttentionResult result =
      attend_all(q, matrix_view(keys.data(), 2, 1), matrix_view(values.data(), 2, 1), std::log(3.0F), out,
                 probabilities);
  CHECK(out[0] == doctest::Approx(-1.0));
  CHECK(probabilities[0] == doctest::Approx(0.25));
  CHECK(probabilities[1] == doctest::Approx(0.75));
  CHECK(result.max_logit == doctest::Approx(std::log(3.0F)));
  CHECK(result.sum == doctest::Approx(4.0 / 3.0));
}

TEST_CASE("attend_selected agrees with double precision on the selected entries, in any order") {
  const std::uint64_t seed = 37;
  CAPTURE(seed);
  Rng rng(seed);
  const Case data(rng, 3, 300, 64);
  Indices entries = first_entries(300);
  shuffle(entries, rng);
  entries.resize(101);
  for (int round = 0; round < 5; ++round) {
    std::vector<float> out(data.queries.size());
    std::vector<AttentionResult> results(3);
    const MatrixRef<float> out_rows = matrix_ref(out.data(), 3, 64);
    attend_selected(data.query_rows(), data.key_rows(), data.value_rows(), entries, 0.5F, out_rows, results);
    for (std::int64_t j = 0; j < 3; ++j) {
      const Reference expected = attend_in_double(data.query_rows().row(j), data, entries, 0.5);
      check_close(out_rows.row(j), expected.out, 5e-6);
      CHECK(results[static_cast<std::size_t>(j)].log_sum_exp() ==
            doctest::Approx(expected.log_sum_exp).epsilon(1e-6));
    }
    shuffle(entries, rng);
  }
}

TEST_CASE("selecting all entries in their order is full attention, bit for bit") {
  Rng rng(41);
  const Case data(rng, 1, 77, 48);
  std::vector<float> all(48);
  std::vector<float> selected(48);
  const AttentionResult a = attend_all(data.queries, data.key_rows(), data.value_rows(), 0.2F, all);
  const AttentionResult b =
      attend_selected(data.queries, data.key_rows(), data.value_rows(), first_entries(77), 0.2F, selected);
  CHECK(all == selected);
  CHECK(a.sum == b.sum);
  CHECK(a.max_logit == b.max_logit);
}

TEST_CASE("logits of +-1e4, rising or falling, neither overflow nor lose the largest") {
  for (const bool rising : {true, false}) {
    const std::int64_t n = 101;
    std::vector<Half> keys;
    std::vector<Half> values;
    for (std::int64_t i = 0; i < n; ++i) {
      const auto step = static_cast<float>(i - 50);
      keys.push_back(to_half(rising ? step : -step));
      values.push_back(to_half(static_cast<float>(i)));
    }
    std::vector<float> out(1);
    std::vector<float> probabilities(static_cast<std::size_t>(n));
    const AttentionResult result = attend_all(std::vector<float>{200.0F}, matrix_view(keys.data(), n, 1),
                                              matrix_view(values.data(), n, 1), 1.0F, out, probabilities);
    CHECK(result.max_logit == 10000.0F);
    CHECK(result.sum == 1.0);
    CHECK(out[0] == (rising ? 100.0F : 0.0F));
    CHECK(std::accumulate(probabilities.begin(), probabilities.end(), 0.0F) == 1.0F);
  }
}

TEST_CASE("logits near the largest float do not overflow either") {
  const std::vector<Half> keys{to_half(-60000.0F), to_half(60000.0F), to_half(60000.0F)};
  const std::vector<Half> values{to_half(1.0F), to_half(2.0F), to_half(4.0F)};
  std::vector<float> out(1);
  const AttentionResult result = attend_all(std::vector<float>{5e33F}, matrix_view(keys.data(), 3, 1),
                                            matrix_view(values.data(), 3, 1), 1.0F, out);
  CHECK(result.sum == 2.0);
  CHECK(out[0] == 3.0F);
}

TEST_CASE("subnormal fp16 values are not flushed") {
  const std::vector<Half> keys(4, to_half(0.0F));
  const std::vector<Half> values(4, Half{3});
  std::vector<float> out(1);
  attend_all(std::vector<float>{1.0F}, matrix_view(keys.data(), 4, 1), matrix_view(values.data(), 4, 1), 1.0F,
             out);
  CHECK(out[0] == 3.0F * 0x1p-24F);
}

TEST_CASE("no entries: zero output, no mass") {
  Rng rng(43);
  const Case data(rng, 1, 5, 8);
  std::vector<float> out(8, 1.0F);
  const AttentionResult result =
      attend_selected(data.queries, data.key_rows(), data.value_rows(), {}, 1.0F, out);
  CHECK(result.sum == 0.0);
  CHECK(result.log_sum_exp() == -std::numeric_limits<double>::infinity());
  CHECK(out == std::vector<float>(8, 0.0F));
  attend_all(data.queries, data.key_rows().slice(0, 0), data.value_rows().slice(0, 0), 1.0F, out);
  CHECK(out == std::vector<float>(8, 0.0F));
}

TEST_CASE("keys and values may be strided, and of different dimensions") {
  Rng rng(45);
  const Case data(rng, 1, 40, 24);
  const MatrixView<Half> keys{data.keys.data(), 40, 16, 24};
  const MatrixView<Half> values{data.values.data() + 4, 40, 5, 24};
  std::vector<float> out(5);
  attend_all(std::span<const float>(data.queries).first(16), keys, values, 0.3F, out);
  std::vector<float> selected(5);
  attend_selected(std::span<const float>(data.queries).first(16), keys, values, first_entries(40), 0.3F,
                  selected);
  CHECK(out == selected);
}

TEST_CASE("an entry out of range and shapes that do not fit are internal errors") {
  Rng rng(47);
  const Case data(rng, 1, 5, 8);
  std::vector<float> out(8);
  const auto select = [&](const Indices& entries, std::span<float> to) {
    attend_selected(data.queries, data.key_rows(), data.value_rows(), entries, 1.0F, to);
  };
  CHECK_THROWS_AS(select({5}, out), InternalError);
  CHECK_THROWS_AS(select({-1}, out), InternalError);
  CHECK_THROWS_AS(select({0}, std::span<float>(out).first(7)), InternalError);
}

TEST_CASE("exp_nonpositive is within 3e-7 of exp, and 0 where a float would be subnormal") {
  CHECK(exp_nonpositive(0.0F) == 1.0F);
  for (float x = 0.0F; x > -87.33F; x -= 0.00137F) {
    CAPTURE(x);
    const double exact = std::exp(static_cast<double>(x));
    REQUIRE(std::abs(static_cast<double>(exp_nonpositive(x)) - exact) <= 3e-7 * exact);
  }
  CHECK(exp_nonpositive(-87.34F) == 0.0F);
  CHECK(exp_nonpositive(-1e30F) == 0.0F);
  CHECK(exp_nonpositive(-std::numeric_limits<float>::infinity()) == 0.0F);
}

TEST_CASE("log_sum_exp by hand, of huge logits, and of none") {
  CHECK(log_sum_exp(std::vector<float>{0.0F, 0.0F, 0.0F, 0.0F}) == doctest::Approx(std::log(4.0)));
  CHECK(log_sum_exp(std::vector<float>{1e4F, 1e4F}) == doctest::Approx(1e4 + std::log(2.0)));
  CHECK(log_sum_exp(std::vector<float>{-1e4F}) == doctest::Approx(-1e4));
  CHECK(log_sum_exp({}) == -std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace kvr::kernels
