#include "models/flash/fit/predict.hpp"

#include <algorithm>

#include "models/flash/closed_loop.hpp"
#include "sim/registry.hpp"

namespace kvr::flash::fit {
ReadPath path_of(const DeviceParams& device, const Row& row) {
  const double range = row.sequential ? 0.0 : static_cast<double>(row.range_bytes);
  ReadPath path = read_path(device, fit_host(device, row.threads), range);
  path.align_bytes = row.sequential ? row.bytes : row.align_bytes;
  return path;
}

double predict_closed(const DeviceParams& device, const Row& row) {
  return requests_per_s(path_of(device, row), static_cast<double>(row.bytes), row.outstanding());
}

double predict_event(const DeviceParams& device, const Row& row, std::int64_t requests, std::uint64_t seed) {
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

}  // namespace kvr::flash::fit
