#pragma once

#include <cstdint>

#include "sim/base/dispatch.hpp"

/// Building blocks of the dispatched loops, inlined into each clone and so compiled for its instruction set.
namespace kvr::kernels::lanes {

/// Four partial results side by side; 16 bytes, the vector that every 64-bit CPU has.
using Four = float __attribute__((vector_size(16)));

/// The vector of the loops that the compiler does not vectorise well by itself: as wide as AVX2's registers,
/// elsewhere as NEON's. A narrower CPU splits it.
#if defined(__x86_64__)
inline constexpr int kVectorBytes = 32;
#else
inline constexpr int kVectorBytes = 16;
#endif
using Vector = float __attribute__((vector_size(kVectorBytes)));
inline constexpr int kVectorLanes = kVectorBytes / static_cast<int>(sizeof(float));
inline constexpr int kVectors = kLanes / kVectorLanes;

/// A vector anywhere in an array of floats.
using VectorInFloats = float __attribute__((vector_size(kVectorBytes), aligned(alignof(float)), may_alias));

[[gnu::always_inline]] inline const VectorInFloats& at(const float* from) {
  return *reinterpret_cast<const VectorInFloats*>(from);
}

[[gnu::always_inline]] inline VectorInFloats& at(float* to) {
  return *reinterpret_cast<VectorInFloats*>(to);
}

[[gnu::always_inline]] inline Four load_four(const float* from) {
  return Four{from[0], from[1], from[2], from[3]};
}

/// kLanes partial sums -> 4: lane i gets ((i) + (i + 8)) + ((i + 4) + (i + 12)).
[[gnu::always_inline]] inline Four fold_to_four(const float (&sums)[kLanes]) {
  static_assert(kLanes == 16);
  return (load_four(sums) + load_four(sums + 8)) + (load_four(sums + 4) + load_four(sums + 12));
}

[[gnu::always_inline]] inline float fold(const float (&sums)[kLanes]) {
  const Four four = fold_to_four(sums);
  return (four[0] + four[2]) + (four[1] + four[3]);
}

/// The same from a row's partial sums in registers: the same additions.
[[gnu::always_inline]] inline Four fold_to_four(const Vector (&sums)[kVectors]) {
#if defined(__x86_64__)
  const Vector eight = sums[0] + sums[1];
  return __builtin_shufflevector(eight, eight, 0, 1, 2, 3) +
         __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
#else
  return (sums[0] + sums[2]) + (sums[1] + sums[3]);
#endif
}

/// The folds of four rows' sums at once, by a 4 x 4 transposition: same additions as `fold`, fewer moves.
template <class Sums>
[[gnu::always_inline]] inline void fold_rows(const Sums (&sums)[4], float* out) {
  const Four a = fold_to_four(sums[0]);
  const Four b = fold_to_four(sums[1]);
  const Four c = fold_to_four(sums[2]);
  const Four d = fold_to_four(sums[3]);
  const Four ab = __builtin_shufflevector(a, b, 0, 1, 4, 5) + __builtin_shufflevector(a, b, 2, 3, 6, 7);
  const Four cd = __builtin_shufflevector(c, d, 0, 1, 4, 5) + __builtin_shufflevector(c, d, 2, 3, 6, 7);
  const Four total =
      __builtin_shufflevector(ab, cd, 0, 2, 4, 6) + __builtin_shufflevector(ab, cd, 1, 3, 5, 7);
  __builtin_memcpy(out, &total, sizeof(total));
}

}  // namespace kvr::kernels::lanes
