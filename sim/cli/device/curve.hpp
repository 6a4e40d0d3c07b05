#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "models/flash/closed_loop.hpp"
#include "sim/cli/device/choice.hpp"

namespace kvr::cli {

/// The loads of a curve: every combination of the four lists, in closed loop. Depth is per thread.
struct CurvePlan {
  std::vector<std::int64_t> sizes_bytes;
  std::vector<std::int64_t> depths;
  std::vector<std::int64_t> ranges_bytes;
  std::vector<std::int64_t> threads;
  IoKind kind = IoKind::read;
  bool sequential = false;
  std::int64_t requests = 0;  ///< that count at each point; 0: default_requests
  std::uint64_t seed = 0;
};

struct CurvePoint {
  flash::ClosedLoop load;
  flash::LoadResult result;  ///< of formulas: no requests and no seconds; percentiles are NaN
};

struct Curve {
  CurvePlan plan;
  std::vector<CurvePoint> points;  ///< range, threads, depth, size; the last fastest
  std::vector<std::string> notes;  ///< what a reader must know

  const CurvePoint& at(std::size_t range, std::size_t threads, std::size_t depth, std::size_t size) const {
    const std::size_t row = (range * plan.threads.size() + threads) * plan.depths.size() + depth;
    return points[row * plan.sizes_bytes.size() + size];
  }
};

/// Enough for a mean within a per cent or so where one request in two takes twice as long, and for every slot
/// of the queue to be used many times.
std::int64_t default_requests(std::int64_t outstanding);

/// What contradicts itself or the device, one line each; ranges of single values are the options'.
std::vector<std::string> check(const CurvePlan& plan, const flash::DeviceParams& device);

/// Every point on a device of its own in its first state, so that none depends on those before it. Closed
/// formulas (type `analytic`) are evaluated, because batches exclude each other in time there; every other
/// device is driven by a closed loop. `progress` is told of points done and of all.
Curve measure_curve(const DeviceChoice& choice, const CurvePlan& plan,
                    const std::function<void(std::int64_t, std::int64_t)>& progress);

/// "random reads", "sequential writes".
std::string describe_pattern(const CurvePlan& plan);

}  // namespace kvr::cli
