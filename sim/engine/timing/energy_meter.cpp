#include "sim/engine/timing/energy_meter.hpp"

namespace kvr {

StepEnergy EnergyMeter::step(const StepTimes& times, double computed_bytes) {
  const DeviceStats stats = device_->stats();
  const Counted after{device_->energy(times.end_s).total_j(), static_cast<double>(stats.read_bytes),
                      static_cast<double>(stats.written_bytes), stats.host_busy_s};
  const double moved_bytes = 2.0 * (after.read_bytes - before_.read_bytes) +
                             (after.written_bytes - before_.written_bytes) + computed_bytes;
  const double elapsed_s = times.latency_s();
  const StepEnergy energy{
      .flash_j = after.energy_j - before_.energy_j,
      .dram_j = power_.dram_j_per_byte * moved_bytes + power_.dram_background_w * elapsed_s,
      .host_io_j = power_.host_core_w * (after.host_busy_s - before_.host_busy_s),
      .compute_j = power_.compute_w * times.compute_s,
      .base_j = power_.base_w * elapsed_s};
  before_ = after;
  return energy;
}

}  // namespace kvr
