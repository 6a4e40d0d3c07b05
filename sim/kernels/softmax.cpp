// exp(x) = 2^n * exp(r), n = round(x / ln 2), r = x - n ln 2 in two parts, |r| <= ln 2 / 2; exp(r) by the
// minimax polynomial of the Cephes library's expf (Moshier 1992).
#include "sim/kernels/softmax.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <vector>

#include "sim/base/dispatch.hpp"
#include "sim/base/error.hpp"

namespace kvr::kernels {
namespace {

/// ln(2^-126): the result would no longer be a normal float.
constexpr float kSmallestExponent = -87.336544F;

[[gnu::always_inline]] inline float exp_inline(float argument) {
  constexpr float kRoundToInteger =
      0x1.8p23F;  // adding it leaves the rounded integer in the low mantissa bits
  constexpr float kLog2E = 1.44269504F;
  constexpr float kLn2High = 0.693359375F;
  constexpr float kLn2Low = -2.12194440e-4F;
  const float x = argument < kSmallestExponent ? kSmallestExponent : argument;
  const float shifted = x * kLog2E + kRoundToInteger;
  const float n = shifted - kRoundToInteger;
  const float r = (x - n * kLn2High) - n * kLn2Low;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * (r * r) + r + 1.0F;
  const std::uint32_t exponent =
      (std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(kRoundToInteger)) << 23;
  const float result = std::bit_cast<float>(std::bit_cast<std::uint32_t>(p) + exponent);
  return argument < kSmallestExponent ? 0.0F : result;
}

}  // namespace

namespace detail {

KVR_DISPATCHED float scale_logits(float* logits, std::int64_t n, float scale) {
  float largest[kLanes];
  std::fill(std::begin(largest), std::end(largest), -std::numeric_limits<float>::infinity());
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      logits[i + lane] *= scale;
      largest[lane] = logits[i + lane] > largest[lane] ? logits[i + lane] : largest[lane];
    }
  }
  for (; i < n; ++i) {
    logits[i] *= scale;
    largest[0] = std::max(largest[0], logits[i]);
  }
  return *std::max_element(std::begin(largest), std::end(largest));
}

KVR_DISPATCHED double exp_weights(const float* __restrict__ logits, std::int64_t n, float max_logit,
                                  float* __restrict__ weights) {
  for (std::int64_t i = 0; i < n; ++i) {
    weights[i] = exp_inline(logits[i] - max_logit);
  }
  double sums[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      sums[lane] += static_cast<double>(weights[i + lane]);
    }
  }
  for (int lane = 0; lane < n - i; ++lane) {
    sums[lane] += static_cast<double>(weights[i + lane]);
  }
  double total = 0.0;
  for (const double sum : sums) {
    total += sum;
  }
  return total;
}

}  // namespace detail

float scale_logits(std::span<float> logits, float scale) {
  return detail::scale_logits(logits.data(), static_cast<std::int64_t>(logits.size()), scale);
}

double exp_weights(std::span<const float> logits, float max_logit, std::span<float> weights) {
  KVR_CHECK(logits.size() == weights.size(), "lengths {} and {}", logits.size(), weights.size());
  return detail::exp_weights(logits.data(), static_cast<std::int64_t>(logits.size()), max_logit,
                             weights.data());
}

float exp_nonpositive(float x) {
  return exp_inline(x);
}

double log_sum_exp(std::span<const float> logits) {
  if (logits.empty()) {
    return -std::numeric_limits<double>::infinity();
  }
  const float max_logit = *std::max_element(logits.begin(), logits.end());
  std::vector<float> weights(logits.size());
  return static_cast<double>(max_logit) + std::log(exp_weights(logits, max_logit, weights));
}

}  // namespace kvr::kernels
