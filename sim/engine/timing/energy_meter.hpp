#pragma once

#include "sim/engine/timing/step_times.hpp"
#include "sim/interfaces/compute_model.hpp"
#include "sim/interfaces/flash_device.hpp"

namespace kvr {

/// Energy of one step by where it went, in J.
struct StepEnergy {
  double flash_j = 0.0;    ///< the device, idle power included
  double dram_j = 0.0;     ///< bytes moved, and background power
  double host_io_j = 0.0;  ///< the core that submits
  double compute_j = 0.0;  ///< the cores that compute
  double base_j = 0.0;     ///< the rest of the phone

  double total_j() const { return flash_j + dram_j + host_io_j + compute_j + base_j; }
};

/// Tells the energy of each step from what phone and device did in it:
///   flash    what the device's energy grew by: idle power, commands, reads, mapping, writes
///   dram     energy of a byte * (2 * bytes read from flash + bytes written to it + bytes that computing
///            moves) + background power * T
///   host I/O processor time of the commands * power of the submitting core
///   compute  time computing * power of the computing cores
///   base     base power * T
/// A byte from flash is written to DRAM once and read once when its entry is taken out of the block.
class EnergyMeter {
 public:
  EnergyMeter(const PhonePower& power, const FlashDevice& device) : power_(power), device_(&device) {}

  /// `times` of the step that has just ended, `computed_bytes` between DRAM and the cores in it.
  StepEnergy step(const StepTimes& times, double computed_bytes);

 private:
  /// What the device had counted at the end of the step before.
  struct Counted {
    double energy_j = 0.0;
    double read_bytes = 0.0;
    double written_bytes = 0.0;
    double host_busy_s = 0.0;
  };

  PhonePower power_;
  const FlashDevice* device_;
  Counted before_;
};

}  // namespace kvr
