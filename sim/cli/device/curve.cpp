#include "sim/cli/device/curve.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "models/flash/analytic_model.hpp"
#include "sim/cli/device/curve_output.hpp"

namespace kvr::cli {
namespace {

/// Slots of a closed loop take memory each; far above any queue.
constexpr std::int64_t kMaxOutstanding = std::int64_t{1} << 20;
constexpr std::int64_t kFewestRequests = 4000;
constexpr std::int64_t kRequestsPerSlot = 100;

bool is_closed_form(const DeviceChoice& choice) {
  return choice.config.device.type == "analytic";
}

/// At first the queue fills and every request waits for fewer than it will later.
std::int64_t warm_up_of(std::int64_t requests, std::int64_t outstanding) {
  return std::max(4 * outstanding, requests / 10);
}

std::int64_t requests_of(const CurvePlan& plan, const flash::ClosedLoop& load) {
  return plan.requests > 0 ? plan.requests : default_requests(load.depth * load.threads);
}

double pool_bytes_per_s(const flash::DeviceParams& d) {
  return d.slc_pool > 0 ? d.slc_bandwidth : d.tlc_bandwidth / d.write_amplification;
}

flash::LoadResult closed_form(const flash::DeviceParams& device, HostCost host,
                              const flash::ClosedLoop& load) {
  host.threads = load.threads;
  const std::int64_t outstanding = load.depth * load.threads;
  const auto bytes = static_cast<double>(load.bytes);
  const double working_set = load.sequential ? 0.0 : static_cast<double>(load.range_bytes);
  const double rate =
      load.kind == IoKind::read
          ? flash::requests_per_s(flash::read_path(device, host, working_set), bytes, outstanding)
          : flash::writes_per_s(device, host, bytes, std::min(outstanding, host.most_under_way()),
                                pool_bytes_per_s(device));
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  return {.bytes_per_s = rate * bytes,
          .requests_per_s = rate,
          .latency_s = static_cast<double>(outstanding) / rate,
          .p50_s = kUnknown,
          .p99_s = kUnknown};
}

std::vector<flash::ClosedLoop> loads_of(const CurvePlan& plan, std::int64_t block_bytes) {
  std::vector<flash::ClosedLoop> loads;
  for (const std::int64_t range : plan.ranges_bytes) {
    for (const std::int64_t threads : plan.threads) {
      for (const std::int64_t depth : plan.depths) {
        for (const std::int64_t size : plan.sizes_bytes) {
          loads.push_back({.kind = plan.kind,
                           .bytes = size,
                           .depth = depth,
                           .threads = threads,
                           .range_bytes = range,
                           .align_bytes = block_bytes,
                           .sequential = plan.sequential,
                           .seed = plan.seed});
        }
      }
    }
  }
  return loads;
}

void note(std::vector<std::string>& notes, const std::string& text) {
  if (std::ranges::find(notes, text) == notes.end()) {
    notes.push_back(text);
  }
}

void note_writes(const DeviceChoice& choice, const Curve& curve, std::vector<std::string>& notes) {
  const flash::DeviceParams& d = choice.params;
  if (d.slc_pool == 0) {
    note(notes, "The part has no SLC pool: writes are sustained ones.");
    return;
  }
  std::int64_t most = 0;
  for (const CurvePoint& point : curve.points) {
    const flash::ClosedLoop& load = point.load;
    const std::int64_t requests = requests_of(curve.plan, load);
    most = std::max(most, load.bytes * (requests + warm_up_of(requests, load.depth * load.threads)));
  }
  if (is_closed_form(choice) || most <= d.slc_pool) {
    note(notes,
         fmt::format("Writes go into the empty SLC pool of {}; beyond it the part sustains {:.0f} MB/s.",
                     bytes_text(d.slc_pool), d.tlc_bandwidth / d.write_amplification / 1e6));
  } else {
    note(notes, fmt::format("Some points write more than the SLC pool of {} and mix writes into it with "
                            "sustained ones.",
                            bytes_text(d.slc_pool)));
  }
}

void note_model(const DeviceChoice& choice, Curve& curve) {
  if (is_closed_form(choice)) {
    note(curve.notes,
         "Closed formulas: latency is the mean (outstanding requests over rate); there are no "
         "percentiles.");
    if (curve.plan.sequential) {
      note(curve.notes,
           "The formulas do not recognise streams: a sequential command costs what one in a "
           "covered range costs.");
    }
  }
  if (curve.plan.kind == IoKind::write) {
    note_writes(choice, curve, curve.notes);
  }
}

template <class Problems>
void check_sizes(const CurvePlan& plan, const flash::DeviceParams& device, Problems& problems) {
  for (const std::int64_t size : plan.sizes_bytes) {
    if (size % device.block != 0) {
      problems.push_back(fmt::format("--size: {} is no multiple of the block of {}; allowed: multiples of {}",
                                     bytes_text(size), device.name, bytes_text(device.block)));
    }
    for (const std::int64_t range : plan.ranges_bytes) {
      if (range < size) {
        problems.push_back(fmt::format("--range: {} is smaller than a request of {}; allowed: at least {}",
                                       bytes_text(range), bytes_text(size), bytes_text(size)));
      }
    }
  }
}

/// Requests larger than a command are outstanding as all their commands.
void check_commands(const CurvePlan& plan, const flash::DeviceParams& device, std::int64_t outstanding,
                    std::vector<std::string>& problems) {
  const auto commands = [&](std::int64_t bytes) {
    return (bytes + device.max_transfer - 1) / device.max_transfer;
  };
  for (const std::int64_t size : plan.sizes_bytes) {
    if (outstanding <= kMaxOutstanding && commands(size) > kMaxOutstanding / outstanding) {
      problems.push_back(fmt::format(
          "--size: {} requests of {} are more than {} commands at once; allowed: at most {} for each",
          outstanding, bytes_text(size), kMaxOutstanding,
          bytes_text(kMaxOutstanding / outstanding * device.max_transfer)));
    }
  }
}

}  // namespace

std::int64_t default_requests(std::int64_t outstanding) {
  return std::max(kFewestRequests, kRequestsPerSlot * outstanding);
}

std::vector<std::string> check(const CurvePlan& plan, const flash::DeviceParams& device) {
  std::vector<std::string> problems;
  check_sizes(plan, device, problems);
  for (const std::int64_t threads : plan.threads) {
    for (const std::int64_t depth : plan.depths) {
      check_commands(plan, device, depth * threads, problems);
      if (depth * threads > kMaxOutstanding) {
        problems.push_back(
            fmt::format("--threads: {} threads of depth {} keep {} requests outstanding; "
                        "allowed: at most {}",
                        threads, depth, depth * threads, kMaxOutstanding));
      }
    }
  }
  return problems;
}

Curve measure_curve(const DeviceChoice& choice, const CurvePlan& plan,
                    const std::function<void(std::int64_t, std::int64_t)>& progress) {
  Curve curve{.plan = plan, .points = {}, .notes = {}};
  const std::vector<flash::ClosedLoop> loads = loads_of(plan, choice.params.block);
  for (const flash::ClosedLoop& load : loads) {
    CurvePoint& point = curve.points.emplace_back(CurvePoint{load, {}});
    const auto device = choice.create(load.threads, plan.seed);
    if (is_closed_form(choice)) {
      point.result = closed_form(choice.params, choice.host, load);
    } else {
      const std::int64_t requests = requests_of(plan, load);
      point.result =
          run_closed_loop(*device, load, warm_up_of(requests, load.depth * load.threads), requests);
    }
    for (const std::string& text : device->notes()) {
      note(curve.notes, text);
    }
    progress(std::ssize(curve.points), std::ssize(loads));
  }
  note_model(choice, curve);
  return curve;
}

std::string describe_pattern(const CurvePlan& plan) {
  return fmt::format("{} {}", plan.sequential ? "sequential" : "random",
                     plan.kind == IoKind::read ? "reads" : "writes");
}

}  // namespace kvr::cli
