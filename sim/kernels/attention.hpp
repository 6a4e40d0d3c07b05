#pragma once

#include <cmath>
#include <cstdint>
#include <span>

#include "sim/base/half.hpp"
#include "sim/base/matrix.hpp"

namespace kvr::kernels {

/// The normaliser of one softmax: exp(logit - max_logit) summed over the entries. Of no entries: -infinity,
/// 0.
struct AttentionResult {
  float max_logit = 0.0F;
  double sum = 0.0;

  /// log(sum of exp(logit)); the difference of two is the log of the share of mass one of them covers.
  double log_sum_exp() const { return static_cast<double>(max_logit) + std::log(sum); }
};

/// Softmax attention of the queries of one KV head's group over fp16 entries: logit = scale * q . k,
/// out = sum of softmax(logit) * v, in one walk over K and V for the whole group.
///
/// queries: float [group, d]; keys: Half [n, d]; values: Half [n, dv]; out: float [group, dv];
/// results: [group]. Online softmax (Milakov and Gimelshein 2018): a running maximum, and sums rescaled when
/// it grows, so entries may come in any order and finite logits of any size cannot overflow. No entries:
/// out is 0.

/// Over all entries. `probabilities` [group, n] receives the softmax; pass {} to do without.
void attend_all(MatrixView<float> queries, MatrixView<Half> keys, MatrixView<Half> values, float scale,
                MatrixRef<float> out, std::span<AttentionResult> results,
                MatrixRef<float> probabilities = {});

/// Over keys[e], values[e] for e in `entries`, in that order; the same entries for the whole group.
/// Another order changes the result only by rounding.
void attend_selected(MatrixView<float> queries, MatrixView<Half> keys, MatrixView<Half> values,
                     std::span<const std::int32_t> entries, float scale, MatrixRef<float> out,
                     std::span<AttentionResult> results);

/// The same for one query. q: [d]; out: [dv]; probabilities: [n] or empty.
AttentionResult attend_all(std::span<const float> q, MatrixView<Half> keys, MatrixView<Half> values,
                           float scale, std::span<float> out, std::span<float> probabilities = {});
AttentionResult attend_selected(std::span<const float> q, MatrixView<Half> keys, MatrixView<Half> values,
                                std::span<const std::int32_t> entries, float scale, std::span<float> out);

}  // namespace kvr::kernels
