#include "sim/engine/recording.hpp"

namespace kvr {

void record_energy(const StepEnergy& energy, std::int64_t step, PointData& data) {
  data.set(Metric::energy_j, step, energy.total_j());
  data.set(Metric::flash_energy_j, step, energy.flash_j);
  data.set(Metric::dram_energy_j, step, energy.dram_j);
  data.set(Metric::host_io_energy_j, step, energy.host_io_j);
  data.set(Metric::compute_energy_j, step, energy.compute_j);
  data.set(Metric::base_energy_j, step, energy.base_j);
}

void record_kernel_times(std::span<const HeadReplay> heads, std::int64_t step, PointData& data) {
  KernelTimes times;
  for (const HeadReplay& head : heads) {
    times += head.kernel_times();
  }
  data.set(Metric::score_kernel_s, step, times.score_s);
  data.set(Metric::update_kernel_s, step, times.update_s);
  data.set(Metric::attention_kernel_s, step, times.attention_s);
  data.set(Metric::truth_kernel_s, step, times.truth_s);
}

}  // namespace kvr
