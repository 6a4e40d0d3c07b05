#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/interfaces/scorer.hpp"
#include "sim/kernels/dot.hpp"
#include "sim/kernels/softmax.hpp"

namespace kvr {

/// Attention that queries of the prompt pay to what each of them could see, one query at a time.
class PromptSoftmax {
 public:
  explicit PromptSoftmax(double attention_scale) : scale_(static_cast<float>(attention_scale)) {}

  /// Of query head `query` of `group` at the window's position `t`: [its position + 1]; valid until the next
  /// call.
  std::span<const float> weights(const PromptView& prompt, std::int64_t t, std::int64_t query,
                                 std::int64_t group) {
    const std::int64_t visible = prompt.window_positions[static_cast<std::size_t>(t)] + 1;
    logits_.resize(static_cast<std::size_t>(visible));
    weights_.resize(logits_.size());
    kernels::dot_rows(prompt.window_queries.slice(t * group + query, 1), prompt.rows.keys.slice(0, visible),
                      matrix_ref(logits_.data(), 1, visible));
    const float most = kernels::scale_logits(logits_, scale_);
    const double sum = kernels::exp_weights(logits_, most, weights_);
    for (float& weight : weights_) {
      weight = static_cast<float>(static_cast<double>(weight) / sum);
    }
    return weights_;
  }

  /// Of one entry and query: a product and a sum for each of `channels`.
  static Work key_work(std::int64_t channels) {
    const auto d = static_cast<double>(channels);
    return {.flops = 2.0 * d, .bytes = 2.0 * d};
  }

 private:
  float scale_;
  std::vector<float> logits_;
  std::vector<float> weights_;
};

}  // namespace kvr
