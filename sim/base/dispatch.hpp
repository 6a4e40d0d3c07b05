#pragma once

/// Marks a function to be compiled once per x86-64 level and chosen when the program starts, so that one
/// binary runs anywhere and is fast where AVX2 or AVX-512 exist. Elsewhere it is compiled once.
///
/// The function must have external linkage and be no template. Its loops are written over a fixed number
/// of independent accumulators (kLanes), and the build forbids contraction into fused multiply-adds, so
/// every clone does the same additions in the same order: the bits do not depend on the machine.
///
/// Under ThreadSanitizer there are no clones: its run-time is not up yet when the loader chooses one, and the
/// program dies at start-up.
/// A macro because an attribute cannot be named otherwise.
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__)
#define KVR_DISPATCHED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define KVR_DISPATCHED
#endif

namespace kvr {

/// Independent partial sums of a reduction: one AVX-512 register of floats, two of AVX2, four of NEON.
inline constexpr int kLanes = 16;

}  // namespace kvr
