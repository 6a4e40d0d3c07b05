#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/cli/bench/measure.hpp"

namespace kvr::bench {

/// One kernel, its peer and the roofline over both, all measured in turns.
struct KernelResult {
  std::string name;
  std::string shape;
  std::string peer;
  std::int64_t bytes = 0;  ///< of distinct data read and written
  double flops = 0.0;      ///< multiplications and additions; one in double counts as two in float
  Timing kernel;
  Timing peer_timing;
  Timing reading;           ///< of a buffer of as many bytes
  double peak_flops = 0.0;  ///< per second

  double memory_bound_s() const { return reading.median_s; }
  double compute_bound_s() const { return flops / peak_flops; }
  bool is_memory_bound() const { return memory_bound_s() >= compute_bound_s(); }
  /// What the roofline allows at best over what the kernel took.
  double roofline_share() const { return std::max(memory_bound_s(), compute_bound_s()) / kernel.median_s; }
  /// How many times faster than the peer.
  double peer_ratio() const { return peer_timing.median_s / kernel.median_s; }
  double bytes_per_s() const { return static_cast<double>(bytes) / kernel.median_s; }
  double flops_per_s() const { return flops / kernel.median_s; }
};

/// The best instruction set for which the kernels hold a version and which this CPU has.
std::string kernel_instruction_set();

/// Measures every hot kernel, one after the other. InternalError if a kernel and its peer disagree.
std::vector<KernelResult> measure_kernels();

}  // namespace kvr::bench
