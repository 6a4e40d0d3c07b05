#include "models/flash/fit/predict.hpp"

#include <algorithm>

#include "models/flash/closed_loop.hpp"
#include "sim/base/registry.hpp"

namespace kvr::flash::fit {
namespace {

double writes_per_s_at(const DeviceParams& device, const Row& row, double program_bytes_per_s) {
  return writes_per_s(device, fit_host(device, row.threads), static_cast<double>(row.bytes),
                      row.outstanding(), program_bytes_per_s);
}

/// The mean rate of a write row: `pooled` per second until the pool is full, `direct` from then on.
double mean_per_s(const DeviceParams& device, const Row& row, double pooled, double direct) {
  const double filled_s = static_cast<double>(device.slc_pool) / (pooled * static_cast<double>(row.bytes));
  if (row.seconds <= filled_s) {
    return pooled;
  }
  return (pooled * filled_s + direct * (row.seconds - filled_s)) / row.seconds;
}

double simulate(const DeviceParams& device, const Row& row, std::int64_t requests, std::uint64_t seed) {
  const auto simulated = Registry<FlashDevice>::instance().create(
      "queueing", values_of(device_param_table(), device), {fit_host(device, row.threads), seed});
  const ClosedLoop load{.kind = row.kind,
                        .bytes = row.bytes,
                        .depth = row.depth,
                        .threads = row.threads,
                        .range_bytes = row.range_bytes,
                        .align_bytes = row.align_bytes,
                        .sequential = row.sequential,
                        .seed = seed};
  // One request at a time meets nobody, so a few show its time.
  const std::int64_t outstanding = row.outstanding();
  const std::int64_t wanted = outstanding == 1 ? requests / 4 : requests;
  return run_closed_loop(*simulated, load, 2 * outstanding, std::max(wanted, 4 * outstanding)).requests_per_s;
}

}  // namespace

ReadPath path_of(const DeviceParams& device, const Row& row) {
  const double range = row.sequential ? 0.0 : static_cast<double>(row.range_bytes);
  ReadPath path = read_path(device, fit_host(device, row.threads), range);
  path.align_bytes = row.sequential ? row.bytes : row.align_bytes;
  return path;
}

double predict_closed(const DeviceParams& device, const Row& row) {
  if (row.kind == IoKind::read) {
    return requests_per_s(path_of(device, row), static_cast<double>(row.bytes), row.outstanding());
  }
  return mean_per_s(device, row, writes_per_s_at(device, row, device.slc_bandwidth),
                    writes_per_s_at(device, row, device.tlc_bandwidth / device.write_amplification));
}

double predict_event(const DeviceParams& device, const Row& row, std::int64_t requests, std::uint64_t seed) {
  const double first_per_s = simulate(device, row, requests, seed);
  if (row.kind == IoKind::read) {
    return first_per_s;
  }
  DeviceParams without_pool = device;
  without_pool.slc_pool = 0;
  return mean_per_s(device, row, first_per_s, simulate(without_pool, row, requests, seed));
}

}  // namespace kvr::flash::fit
