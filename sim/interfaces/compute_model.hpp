#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "sim/interfaces/types.hpp"
#include "sim/interfaces/weight_format.hpp"

namespace kvr {

/// What a command to the storage costs the processor that submits it.
struct HostCost {
  double per_command_s = 0.0;       ///< fixed part, submission and completion
  double cycles_per_command = 0.0;  ///< part that scales with the core's clock
  double clock_hz = 1.0;
  double per_byte_s = 0.0;
  double wake_s = 0.0;       ///< pure delay until the waiting thread runs again
  std::int64_t threads = 1;  ///< threads that submit
  std::int64_t depth = 0;  ///< commands a thread has under way before it sleeps until one is done; 0: no end

  /// Commands that all threads together have under way at most.
  std::int64_t most_under_way() const {
    return depth == 0 ? std::numeric_limits<std::int64_t>::max() : depth * threads;
  }

  double command_s(double bytes) const {
    return per_command_s + cycles_per_command / clock_hz + per_byte_s * bytes;
  }
};

/// What flash requests cost the computation beside them, in time lost.
struct IoContention {
  double per_read_byte_s = 0.0;  ///< bandwidth of DRAM
  double per_host_s = 0.0;       ///< of each second that the submitting core works
};

/// What a phone draws besides its flash device, in its thermal state.
struct PhonePower {
  double dram_j_per_byte = 0.0;    ///< moved to or from DRAM
  double dram_background_w = 0.0;  ///< refresh and standby, always
  double host_core_w = 0.0;        ///< while a core submits storage commands
  double compute_w = 0.0;          ///< all cores together, while they compute
  double base_w = 0.0;             ///< everything else, always
};

/// The processor and the memory of a phone (or board): how long an operation of a decode step takes.
class ComputeModel {
 public:
  static constexpr std::string_view kKind = "phone";
  struct Context {};

  virtual ~ComputeModel() = default;

  /// Seconds of one operation that does `work` with fp16 arithmetic on operands that are stored as `format`;
  /// what a KV cache or a policy reads counts as f16.
  virtual double time_s(const Work& work, WeightFormat format) const = 0;
  virtual HostCost host_cost() const = 0;
  virtual PhonePower power() const = 0;
  /// Memory of the phone; 0: not known.
  virtual std::int64_t dram_bytes() const { return 0; }
  virtual std::string describe() const = 0;
  virtual IoContention io_contention() const { return {}; }
};

}  // namespace kvr
