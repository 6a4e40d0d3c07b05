#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/base/json.hpp"
#include "sim/base/units.hpp"
#include "sim/cli/device/curve_output.hpp"

namespace kvr::cli {
namespace {

constexpr double kMega = 1e6;
constexpr std::size_t kFigureWidth = 8;

std::string block_table(const Curve& curve, std::size_t range, std::size_t threads) {
  const CurvePlan& plan = curve.plan;
  std::string heading = fmt::format("{:>8}", "");
  std::string units = fmt::format("{:>8}", "size");
  for (const std::int64_t depth : plan.depths) {
    heading += fmt::format("{:>{}}", fmt::format("depth {}", depth), 2 * kFigureWidth + 2);
    units += fmt::format("  {:>{}}{:>{}}", "MB/s", kFigureWidth, "us", kFigureWidth);
  }
  std::string text = fmt::format("{}\n{}\n", heading, units);
  for (std::size_t size = 0; size < plan.sizes_bytes.size(); ++size) {
    text += fmt::format("{:>8}", bytes_text(plan.sizes_bytes[size]));
    for (std::size_t depth = 0; depth < plan.depths.size(); ++depth) {
      const flash::LoadResult& result = curve.at(range, threads, depth, size).result;
      text += fmt::format("  {:>{}}{:>{}}", figure_text(result.bytes_per_s / kMega), kFigureWidth,
                          figure_text(result.latency_s * kMega), kFigureWidth);
    }
    text += '\n';
  }
  return text;
}

/// null where there is none.
Json micros(double seconds) {
  return std::isnan(seconds) ? Json() : Json(seconds * kMega);
}

Json host_json(const DeviceChoice& choice) {
  const HostCost& host = choice.host;
  return {{"name", choice.host_name},
          {"per_command_us", host.per_command_s * kMega},
          {"cycles_per_command", host.cycles_per_command},
          {"clock_hz", host.clock_hz},
          {"per_kib_us", host.per_byte_s * 1024.0 * kMega},
          {"wake_us", host.wake_s * kMega}};
}

Json point_json(const CurvePoint& point) {
  const flash::ClosedLoop& load = point.load;
  const flash::LoadResult& result = point.result;
  return {{"size_bytes", load.bytes},
          {"depth", load.depth},
          {"threads", load.threads},
          {"range_bytes", load.range_bytes},
          {"kind", load.kind == IoKind::read ? "read" : "write"},
          {"pattern", load.sequential ? "sequential" : "random"},
          {"bandwidth_bytes_per_s", result.bytes_per_s},
          {"iops", result.requests_per_s},
          {"latency_us", micros(result.latency_s)},
          {"p50_us", micros(result.p50_s)},
          {"p99_us", micros(result.p99_s)},
          {"requests", result.requests}};
}

}  // namespace

std::string bytes_text(std::int64_t bytes) {
  return format_quantity(static_cast<double>(bytes), Quantity::bytes);
}

std::string threads_text(std::int64_t threads) {
  return fmt::format("{} thread{}", threads, threads == 1 ? "" : "s");
}

std::string curve_title(const DeviceChoice& choice, const Curve& curve) {
  return fmt::format("{} ({}, {}), {}", choice.params.name, choice.config.device.type, choice.params.heat,
                     describe_pattern(curve.plan));
}

std::string figure_text(double value) {
  const int decimals = value < 10.0 ? 2 : value < 100.0 ? 1 : 0;
  return fmt::format("{:.{}f}", value, decimals);
}

std::string curve_table(const DeviceChoice& choice, const Curve& curve) {
  std::string text;
  for (std::size_t range = 0; range < curve.plan.ranges_bytes.size(); ++range) {
    for (std::size_t threads = 0; threads < curve.plan.threads.size(); ++threads) {
      text += fmt::format("{}{} over {}, {}; host: {}\n\n", text.empty() ? "" : "\n",
                          curve_title(choice, curve), bytes_text(curve.plan.ranges_bytes[range]),
                          threads_text(curve.plan.threads[threads]), choice.host_name);
      text += block_table(curve, range, threads);
    }
  }
  text += curve.notes.empty() ? "" : "\n";
  for (const std::string& note : curve.notes) {
    text += fmt::format("{}\n", note);
  }
  return text;
}

std::string curve_json(const DeviceChoice& choice, const Curve& curve) {
  Json points = Json::array();
  std::ranges::transform(curve.points, std::back_inserter(points), point_json);
  return json_text({{"device", choice.params.name},
                    {"type", choice.config.device.type},
                    {"heat", choice.params.heat},
                    {"host", host_json(choice)},
                    {"seed", curve.plan.seed},
                    {"notes", curve.notes},
                    {"points", std::move(points)}});
}

}  // namespace kvr::cli
