#include "tests/models/flash/anchor_rig.hpp"

#include <algorithm>

#include "models/flash/analytic_model.hpp"
#include "sim/base/registry.hpp"
#include "tests/models/flash/shipped_config.hpp"

namespace kvr::flash::test {

const char* name_of(Fidelity fidelity) {
  return fidelity == Fidelity::analytic ? "analytic" : "queueing";
}

Rig::Rig(Fidelity fidelity, const std::string& device)
    : fidelity_(fidelity), device_(kvr::test::shipped_device(device)), host_(kvr::test::fit_host(device_)) {}

std::unique_ptr<FlashDevice> Rig::make(std::int64_t threads, std::uint64_t seed) const {
  HostCost host = host_;
  host.threads = threads;
  ParamValues values;
  for (const auto& param : device_param_table()) {
    values.emplace(param.spec().name, param.get(device_));
  }
  return Registry<FlashDevice>::instance().create(name_of(fidelity_), values, {host, seed});
}

LoadResult Rig::run(const Point& point) const {
  const auto device = make(point.threads);
  constexpr std::int64_t kRequests = 8000;
  return run_closed_loop(*device,
                         {.bytes = static_cast<std::int64_t>(point.kib * kKiB),
                          .depth = point.depth,
                          .threads = point.threads,
                          .range_bytes = static_cast<std::int64_t>(point.range_bytes),
                          .sequential = point.sequential,
                          .seed = 1},
                         kRequests / 10, kRequests);
}

double Rig::requests_per_s(const Point& point) const {
  if (fidelity_ == Fidelity::queueing) {
    return run(point).requests_per_s;
  }
  HostCost host = host_;
  host.threads = point.threads;
  const ReadPath path = read_path(device_, host, point.sequential ? 0.0 : point.range_bytes);
  return flash::requests_per_s(path, point.kib * kKiB, point.depth * point.threads);
}

double Rig::latency_us(const Point& point) const {
  return 1e6 * static_cast<double>(point.depth * point.threads) / requests_per_s(point);
}

double Rig::knee_kib() const {
  double highest = 0.0;
  for (const double kib : {64.0, 256.0, 512.0, 1024.0}) {
    highest = std::max(highest, megabytes_per_s({.kib = kib}));
  }
  double below = 0.0;
  for (double kib = 4.0;; kib += 4.0) {
    const double here = megabytes_per_s({.kib = kib});
    if (here >= 0.8 * highest) {
      return kib - 4.0 * (here - 0.8 * highest) / (here - below);
    }
    below = here;
  }
}

}  // namespace kvr::flash::test
