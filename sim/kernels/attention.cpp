// for each block of entries:
//   convert the block's keys to float; logits[query][entry] = scale * query . key
//   for each query: if the block's maximum beats the running one, scale the sums so far down to it
//                   weights = exp(logits - running maximum), add them to the running sum
//   convert the block's values to float; add weights . values to the running outputs
// at the end: outputs / running sum
#include "sim/kernels/attention.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/dispatch.hpp"
#include "sim/base/error.hpp"
#include "sim/kernels/dot.hpp"
#include "sim/kernels/softmax.hpp"

namespace kvr::kernels {
namespace detail {

KVR_DISPATCHED void add_floats(const float* __restrict__ terms, std::int64_t n, double* __restrict__ sums) {
  for (std::int64_t i = 0; i < n; ++i) {
    sums[i] += static_cast<double>(terms[i]);
  }
}

}  // namespace detail

namespace {

/// Entries per block: as float, 32 x 128 channels are 16 KiB and stay in the smallest L1 caches.
constexpr std::int64_t kBlock = 32;

std::size_t as_size(std::int64_t n) {
  return static_cast<std::size_t>(n);
}

/// Asks for rows that are read once in a step, past the outer caches: what a policy keeps there is to stay,
/// as it would without the attention over everything that only measures it.
void stream_rows(MatrixView<Half> rows) {
  constexpr std::int64_t kCacheLineBytes = 64;
  const std::int64_t row_bytes = rows.cols * static_cast<std::int64_t>(sizeof(Half));
  for (std::int64_t i = 0; i < rows.rows; ++i) {
    const char* row = reinterpret_cast<const char*>(rows.row_data(i));
    for (std::int64_t byte = 0; byte < row_bytes; byte += kCacheLineBytes) {
      __builtin_prefetch(row + byte, 0, 0);
    }
  }
}

class OnlineAttention {
 public:
  OnlineAttention(MatrixView<float> queries, std::int64_t value_dim, float scale,
                  std::span<AttentionResult> results)
      : queries_(queries),
        value_dim_(value_dim),
        scale_(scale),
        results_(results),
        rows_(as_size(kBlock * std::max(queries.cols, value_dim))),
        logits_(as_size(queries.rows * kBlock)),
        weights_(logits_.size()),
        block_out_(as_size(queries.rows * value_dim)),
        sums_(block_out_.size(), 0.0) {
    std::fill(results.begin(), results.end(), AttentionResult{-std::numeric_limits<float>::infinity(), 0.0});
  }

  /// Room for the float keys or values of `count` entries, until the other is asked for.
  MatrixRef<float> key_buffer(std::int64_t count) { return matrix_ref(rows_.data(), count, queries_.cols); }
  MatrixRef<float> value_buffer(std::int64_t count) { return matrix_ref(rows_.data(), count, value_dim_); }

  /// Logits [group, count] of the keys in the buffer.
  MatrixView<float> score(std::int64_t count) {
    const MatrixRef<float> logits = matrix_ref(logits_.data(), queries_.rows, count);
    dot_rows(queries_, key_buffer(count).view(), logits);
    for (std::int64_t j = 0; j < queries_.rows; ++j) {
      weigh(j, logits.row(j), {weights_.data() + j * count, as_size(count)});
    }
    return logits.view();
  }

  /// Adds the values in the buffer, weighted by the last score().
  void accumulate(std::int64_t count) {
    multiply(matrix_view(weights_.data(), queries_.rows, count), value_buffer(count).view(),
             matrix_ref(block_out_.data(), queries_.rows, value_dim_));
    detail::add_floats(block_out_.data(), static_cast<std::int64_t>(sums_.size()), sums_.data());
  }

  void finish(MatrixRef<float> out) const {
    for (std::int64_t j = 0; j < out.rows; ++j) {
      const double sum = results_[as_size(j)].sum;
      const double inverse = sum > 0.0 ? 1.0 / sum : 0.0;
      for (std::int64_t c = 0; c < value_dim_; ++c) {
        out.row_data(j)[c] = static_cast<float>(sums_[as_size(j * value_dim_ + c)] * inverse);
      }
    }
  }

 private:
  void weigh(std::int64_t query, std::span<float> logits, std::span<float> weights) {
    AttentionResult& result = results_[as_size(query)];
    const float block_max = scale_logits(logits, scale_);
    if (block_max > result.max_logit) {
      rescale(query, exp_nonpositive(result.max_logit - block_max));
      result.max_logit = block_max;
    }
    result.sum += exp_weights(logits, result.max_logit, weights);
  }

  void rescale(std::int64_t query, float factor) {
    results_[as_size(query)].sum *= static_cast<double>(factor);
    double* sums = sums_.data() + query * value_dim_;
    for (std::int64_t c = 0; c < value_dim_; ++c) {
      sums[c] *= static_cast<double>(factor);
    }
  }

  MatrixView<float> queries_;
  std::int64_t value_dim_;
  float scale_;
  std::span<AttentionResult> results_;
  std::vector<float> rows_;       // [kBlock, d or dv]
  std::vector<float> logits_;     // [group, count]
  std::vector<float> weights_;    // [group, count]
  std::vector<float> block_out_;  // [group, dv]
  std::vector<double> sums_;      // [group, dv]
};

void check_shapes(MatrixView<float> queries, MatrixView<Half> keys, MatrixView<Half> values,
                  MatrixRef<float> out, std::size_t results) {
  KVR_CHECK(queries.cols == keys.cols, "query dimension {}, key dimension {}", queries.cols, keys.cols);
  KVR_CHECK(keys.rows == values.rows, "{} keys, {} values", keys.rows, values.rows);
  KVR_CHECK(out.rows == queries.rows && out.cols == values.cols, "output [{}, {}] for [{}, {}]", out.rows,
            out.cols, queries.rows, values.cols);
  KVR_CHECK(results == as_size(queries.rows), "{} results for {} queries", results, queries.rows);
}

void gather(MatrixView<Half> from, std::span<const std::int32_t> entries, MatrixRef<float> to) {
  for (std::int64_t i = 0; i < to.rows; ++i) {
    const std::int32_t entry = entries[as_size(i)];
    KVR_CHECK(entry >= 0 && entry < from.rows, "entry {} of {}", entry, from.rows);
    to_float(from.row(entry), to.row(i));
  }
}

void keep_logits(MatrixView<float> logits, std::int64_t first, MatrixRef<float> kept) {
  for (std::int64_t j = 0; j < kept.rows; ++j) {
    std::copy_n(logits.row_data(j), logits.cols, kept.row_data(j) + first);
  }
}

/// Logits -> probabilities, in place.
void normalise(std::span<const AttentionResult> results, MatrixRef<float> logits) {
  for (std::int64_t j = 0; j < logits.rows; ++j) {
    const AttentionResult& result = results[as_size(j)];
    const auto inverse = static_cast<float>(1.0 / result.sum);
    for (float& value : logits.row(j)) {
      value = exp_nonpositive(value - result.max_logit) * inverse;
    }
  }
}

}  // namespace

void attend_all(MatrixView<float> queries, MatrixView<Half> keys, MatrixView<Half> values, float scale,
                MatrixRef<float> out, std::span<AttentionResult> results, MatrixRef<float> probabilities) {
  check_shapes(queries, keys, values, out, results.size());
  const bool wanted = probabilities.data != nullptr;
  KVR_CHECK(!wanted || (probabilities.rows == queries.rows && probabilities.cols == keys.rows),
            "probabilities [{}, {}] for [{}, {}]", probabilities.rows, probabilities.cols, queries.rows,
            keys.rows);
  OnlineAttention attention(queries, values.cols, scale, results);
  for (std::int64_t first = 0; first < keys.rows; first += kBlock) {
    const std::int64_t count = std::min(kBlock, keys.rows - first);
    const std::int64_t next = first + count;
    const std::int64_t next_count = std::min(kBlock, keys.rows - next);
    to_float(keys.slice(first, count), attention.key_buffer(count));
    stream_rows(keys.slice(next, next_count));
    const MatrixView<float> logits = attention.score(count);
    if (wanted) {
      keep_logits(logits, first, probabilities);
    }
    to_float(values.slice(first, count), attention.value_buffer(count));
    stream_rows(values.slice(next, next_count));
    attention.accumulate(count);
  }
  attention.finish(out);
  if (wanted && keys.rows > 0) {
    normalise(results, probabilities);
  }
}

void attend_selected(MatrixView<float> queries, MatrixView<Half> keys, MatrixView<Half> values,
                     std::span<const std::int32_t> entries, float scale, MatrixRef<float> out,
                     std::span<AttentionResult> results) {
  check_shapes(queries, keys, values, out, results.size());
  OnlineAttention attention(queries, values.cols, scale, results);
  const auto n = static_cast<std::int64_t>(entries.size());
  for (std::int64_t first = 0; first < n; first += kBlock) {
    const std::int64_t count = std::min(kBlock, n - first);
    const auto block = entries.subspan(as_size(first), as_size(count));
    gather(keys, block, attention.key_buffer(count));
    attention.score(count);
    gather(values, block, attention.value_buffer(count));
    attention.accumulate(count);
  }
  attention.finish(out);
}

AttentionResult attend_all(std::span<const float> q, MatrixView<Half> keys, MatrixView<Half> values,
                           float scale, std::span<float> out, std::span<float> probabilities) {
  AttentionResult result;
  const MatrixRef<float> wanted = probabilities.empty() ? MatrixRef<float>{} : row_ref(probabilities);
  attend_all(row_view(q), keys, values, scale, row_ref(out), {&result, 1}, wanted);
  return result;
}

AttentionResult attend_selected(std::span<const float> q, MatrixView<Half> keys, MatrixView<Half> values,
                                std::span<const std::int32_t> entries, float scale, std::span<float> out) {
  AttentionResult result;
  attend_selected(row_view(q), keys, values, entries, scale, row_ref(out), {&result, 1});
  return result;
}

}  // namespace kvr::kernels
