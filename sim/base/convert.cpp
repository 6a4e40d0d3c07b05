// half -> float without tables: shift exponent and mantissa into a float's place and multiply by 2^112, the
// difference of the two exponent biases. The product is exact, also for subnormals. Infinities and NaNs,
// whose exponent must end as all ones, get it by a bitwise or.
//
// float -> half: of a value too small for a normal half, adding 0.5 leaves the rounded multiple of 2^-24 in
// the low mantissa bits; of any other, subtract the bias from the exponent and round the 13 lost bits to
// nearest even by an integer addition whose carry runs into the exponent, as it should.
#include "sim/base/convert.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "sim/base/dispatch.hpp"
#include "sim/base/error.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace kvr {
namespace {

constexpr std::uint32_t kFloatInfinity = 0x7f800000U;

std::uint32_t half_nan_or_infinity(std::uint32_t magnitude) {
  return magnitude > kFloatInfinity ? 0x7e00U | ((magnitude >> 13) & 0x1ffU) : 0x7c00U;
}

std::uint32_t small_half(std::uint32_t magnitude) {
  return std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) -
         std::bit_cast<std::uint32_t>(0.5F);
}

std::uint32_t normal_half(std::uint32_t magnitude) {
  constexpr std::uint32_t kBiasDifference = 112U << 23;
  const std::uint32_t odd = (magnitude >> 13) & 1U;
  return (magnitude - kBiasDifference + 0xfffU + odd) >> 13;
}

Half half_of_bits(std::uint32_t bits) {
  return {static_cast<std::uint16_t>(bits)};
}

}  // namespace

float to_float(Half value) {
  const std::uint32_t bits = value.bits;
  const std::uint32_t sign = (bits & 0x8000U) << 16;
  const std::uint32_t shifted = (bits & 0x7fffU) << 13;
  std::uint32_t magnitude = std::bit_cast<std::uint32_t>(std::bit_cast<float>(shifted) * 0x1p112F);
  if ((bits & 0x7c00U) == 0x7c00U) {
    const bool nan = (bits & 0x3ffU) != 0;
    magnitude = shifted | kFloatInfinity | (nan ? 0x400000U : 0U);
  }
  return std::bit_cast<float>(sign | magnitude);
}

Half to_half(float value) {
  constexpr std::uint32_t kOverflow = 0x47800000U;        // 65536
  constexpr std::uint32_t kSmallestNormal = 0x38800000U;  // 2^-14
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude >= kOverflow) {
    return half_of_bits(sign | half_nan_or_infinity(magnitude));
  }
  return half_of_bits(sign | (magnitude < kSmallestNormal ? small_half(magnitude) : normal_half(magnitude)));
}

namespace detail {
namespace {

void convert_plain(const Half* from, std::int64_t first, std::int64_t n, float* to) {
  for (std::int64_t i = first; i < n; ++i) {
    to[i] = to_float(from[i]);
  }
}

void convert_plain(const float* from, std::int64_t first, std::int64_t n, Half* to) {
  for (std::int64_t i = first; i < n; ++i) {
    to[i] = to_half(from[i]);
  }
}

#if defined(__x86_64__)
constexpr std::int64_t kF16cLanes = 8;

__attribute__((target("f16c"))) void convert_f16c(const Half* from, std::int64_t n, float* to) {
  std::int64_t i = 0;
  for (; i + kF16cLanes <= n; i += kF16cLanes) {
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i_u*>(from + i))));
  }
  convert_plain(from, i, n, to);
}

__attribute__((target("f16c"))) void convert_f16c(const float* from, std::int64_t n, Half* to) {
  constexpr int kNearestEven = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  std::int64_t i = 0;
  for (; i + kF16cLanes <= n; i += kF16cLanes) {
    _mm_storeu_si128(reinterpret_cast<__m128i_u*>(to + i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(from + i), kNearestEven));
  }
  convert_plain(from, i, n, to);
}
#endif

template <class From, class To>
void convert(const From* from, std::int64_t n, To* to) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) {  // every CPU with AVX2 has F16C (x86-64-v3); clang cannot ask for it
    return convert_f16c(from, n, to);
  }
#endif
  convert_plain(from, 0, n, to);
}

}  // namespace
}  // namespace detail

void to_float(std::span<const Half> from, std::span<float> to) {
  KVR_CHECK(from.size() == to.size(), "lengths {} and {}", from.size(), to.size());
  detail::convert(from.data(), static_cast<std::int64_t>(from.size()), to.data());
}

void to_half(std::span<const float> from, std::span<Half> to) {
  KVR_CHECK(from.size() == to.size(), "lengths {} and {}", from.size(), to.size());
  detail::convert(from.data(), static_cast<std::int64_t>(from.size()), to.data());
}

void to_float(MatrixView<Half> from, MatrixRef<float> to) {
  KVR_CHECK(from.rows == to.rows && from.cols == to.cols, "shapes [{}, {}] and [{}, {}]", from.rows,
            from.cols, to.rows, to.cols);
  if (from.stride == from.cols && to.stride == to.cols) {
    detail::convert(from.data, from.rows * from.cols, to.data);
    return;
  }
  for (std::int64_t i = 0; i < from.rows; ++i) {
    detail::convert(from.row_data(i), from.cols, to.row_data(i));
  }
}

float quantise_int8(std::span<const float> row, std::span<std::int8_t> codes) {
  KVR_CHECK(row.size() == codes.size(), "lengths {} and {}", row.size(), codes.size());
  float largest = 0.0F;
  for (const float x : row) {
    largest = std::max(largest, std::abs(x));
  }
  const float scale = largest / 127.0F;
  for (std::size_t i = 0; i < row.size(); ++i) {
    // A scale that underflowed to a subnormal may be too small by rounding: the code stays within its range.
    const float code = scale > 0.0F ? std::nearbyint(row[i] / scale) : 0.0F;
    codes[i] = static_cast<std::int8_t>(std::clamp(code, -127.0F, 127.0F));
  }
  return scale;
}

void dequantise_int8(std::span<const std::int8_t> codes, float scale, std::span<float> row) {
  KVR_CHECK(row.size() == codes.size(), "lengths {} and {}", codes.size(), row.size());
  for (std::size_t i = 0; i < codes.size(); ++i) {
    row[i] = scale * static_cast<float>(codes[i]);
  }
}

}  // namespace kvr
