#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sim/cli/bench/devices.hpp"
#include "sim/cli/bench/kernels.hpp"
#include "sim/cli/bench/policy.hpp"
#include "sim/cli/bench/replay.hpp"
#include "sim/cli/bench/sweep.hpp"

namespace kvr::bench {

/// Everything that was measured; what was not asked for is empty.
struct Report {
  std::vector<ReplayResult> replays;
  std::optional<SweepCost> sweep;
  std::optional<PolicyCost> policy;
  std::optional<StartUp> start_up;
  std::vector<DeviceResult> devices;
  std::vector<KernelResult> kernels;
};

/// Tables with what is needed to read them, then the build and the host.
std::string report_text(const Report& report);

/// As JSON: "context", "replays", "sweep", "policy", "start_up", "devices" and "kernels"; names carry the
/// units.
void write_json(const Report& report, const std::filesystem::path& out);

}  // namespace kvr::bench
