// Attention over a part of the entries, with the rest merged in.
#include <doctest/doctest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/rng.hpp"
#include "sim/engine/heads/attention/selected_attention.hpp"
#include "sim/kernels/attention.hpp"
#include "tests/engine/support.hpp"

namespace kvr {
namespace {

constexpr std::int64_t kDim = 8;
constexpr std::int64_t kGroup = 2;
constexpr std::int64_t kEntries = 40;
constexpr float kScale = 0.5F;

class Rows {
 public:
  Rows(std::int64_t rows, double size, Rng& rng) : floats_(static_cast<std::size_t>(rows * kDim)) {
    for (float& x : floats_) {
      x = static_cast<float>(size * rng.normal());
    }
    halves_.resize(floats_.size());
    to_half(floats_, halves_);
  }
  MatrixView<Half> halves() const { return matrix_view<Half>(halves_.data(), rows(), kDim); }
  MatrixView<float> floats() const { return matrix_view<float>(floats_.data(), rows(), kDim); }

 private:
  std::int64_t rows() const { return std::ssize(floats_) / kDim; }
  std::vector<float> floats_;
  std::vector<Half> halves_;
};

TEST_CASE("a part of the entries, with the attention over the others merged in, is the attention over all") {
  for (const double size : {0.3, 3.0, 30.0}) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      CAPTURE(seed);
      CAPTURE(size);
      Rng rng(seed);
      const Rows keys(kEntries, size, rng);
      const Rows values(kEntries, 1.0, rng);
      const Rows queries(kGroup, 1.0, rng);
      const HeadView view{keys.halves(), values.halves()};
      std::vector<EntryIndex> all(static_cast<std::size_t>(kEntries));
      std::iota(all.begin(), all.end(), 0);
      const auto first = static_cast<std::ptrdiff_t>(1 + rng.below(kEntries - 1));
      const std::vector<EntryIndex> own(all.begin(), all.begin() + first);
      const std::vector<EntryIndex> others(all.begin() + first, all.end());

      SelectedAttention whole(kGroup, kDim, kScale);
      whole.attend(queries.floats(), 0, kGroup, view, all);
      SelectedAttention part(kGroup, kDim, kScale);
      part.attend(queries.floats(), 0, kGroup, view, own);
      std::vector<float> out(static_cast<std::size_t>(kGroup * kDim));
      std::vector<kernels::AttentionResult> normalisers(kGroup);
      const auto rows = matrix_ref(out.data(), kGroup, kDim);
      kernels::attend_selected(queries.floats(), view.keys, view.values, others, kScale, rows, normalisers);
      for (std::int64_t query = 0; query < kGroup; ++query) {
        const kernels::AttentionResult& one = normalisers[static_cast<std::size_t>(query)];
        part.merge(query, rows.row(query), {one.max_logit, one.sum});
        for (std::size_t d = 0; d < static_cast<std::size_t>(kDim); ++d) {
          CHECK(part.out(query)[d] == doctest::Approx(whole.out(query)[d]).epsilon(1e-5));
        }
        const auto weights = whole.weights(queries.floats(), query, view);
        const std::vector<float> expected(weights.begin(), weights.begin() + first);
        const auto own_weights = part.weights(queries.floats(), query, view);
        for (std::size_t i = 0; i < expected.size(); ++i) {
          CHECK(std::abs(own_weights[i] - expected[i]) < 1e-5F);
        }
      }
    }
  }
}

TEST_CASE("what attends anew has nothing merged in") {
  Rng rng(3);
  const Rows keys(4, 1.0, rng);
  const Rows queries(kGroup, 1.0, rng);
  const HeadView view{keys.halves(), keys.halves()};
  const std::vector<EntryIndex> entries = {0, 1, 3};
  SelectedAttention attention(kGroup, kDim, kScale);
  attention.attend(queries.floats(), 0, kGroup, view, entries);
  const std::vector<float> values(static_cast<std::size_t>(kDim), 7.0F);
  attention.merge(0, values, {100.0F, 1.0});
  CHECK(attention.out(0)[0] == 7.0F);
  attention.attend(queries.floats(), 0, kGroup, view, entries);
  const auto weights = attention.weights(queries.floats(), 0, view);
  CHECK(std::accumulate(weights.begin(), weights.end(), 0.0) == doctest::Approx(1.0).epsilon(1e-6));
}

}  // namespace
}  // namespace kvr
