#pragma once

#include <span>

namespace kvr::kernels {

/// logits[i] *= scale; returns the largest, -infinity for none.
float scale_logits(std::span<float> logits, float scale);

/// weights[i] = exp(logits[i] - max_logit); returns their sum. No logit exceeds max_logit; same length.
/// Own polynomial rather than the library's exp: it vectorises, and its bits are the same on every machine.
/// Relative error below 3e-7; what would be below 2^-126 becomes 0.
double exp_weights(std::span<const float> logits, float max_logit, std::span<float> weights);

/// The same for one value x <= 0.
float exp_nonpositive(float x);

/// log(sum of exp(logits[i])) for finite logits of any size; -infinity for none.
double log_sum_exp(std::span<const float> logits);

}  // namespace kvr::kernels
