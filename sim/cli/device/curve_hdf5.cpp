#include <fmt/format.h>
#include <hdf5_hl.h>

#include <array>
#include <string_view>
#include <utility>

#include "sim/base/error.hpp"
#include "sim/base/files/new_file.hpp"
#include "sim/base/hdf5.hpp"
#include "sim/cli/device/curve_output.hpp"
#include "sim/results/writer.hpp"

namespace kvr::cli {
namespace {

using hdf5::Handle;

using Result = flash::LoadResult;

struct Figure {
  const char* name;
  std::string_view unit;
  std::string_view long_name;
  double (*value)(const Result& result);
};

constexpr std::array kFigures = {
    Figure{"bandwidth_bytes_per_s", "B/s", "payload per second",
           [](const Result& r) { return r.bytes_per_s; }},
    Figure{"iops", "1/s", "requests per second", [](const Result& r) { return r.requests_per_s; }},
    Figure{"latency_s", "s", "mean time from submission to completion",
           [](const Result& r) { return r.latency_s; }},
    Figure{"latency_p50_s", "s", "latency that half of the requests do not exceed; NaN: unknown",
           [](const Result& r) { return r.p50_s; }},
    Figure{"latency_p99_s", "s", "latency that 99 % of the requests do not exceed; NaN: unknown",
           [](const Result& r) { return r.p99_s; }},
    Figure{"requests", "1", "requests that the figures are taken from; 0: formulas",
           [](const Result& r) { return static_cast<double>(r.requests); }},
};

void require(herr_t status, hid_t object) {
  if (status < 0) {
    throw SystemError(fmt::format("{}: cannot be written: {}", hdf5::where(object), hdf5::error_line()));
  }
}

void describe(hid_t dataset, std::string_view unit, std::string_view long_name) {
  hdf5::write_string(dataset, "units", unit);
  hdf5::write_string(dataset, "long_name", long_name);
}

Handle write_scale(hid_t file, const char* name, const std::vector<std::int64_t>& values,
                   std::string_view unit, std::string_view long_name) {
  Handle scale = hdf5::create_dataset(file, name, H5T_STD_I64LE, {values.size()}, {});
  hdf5::write_block(scale.get(), H5T_NATIVE_INT64, {0}, {values.size()}, values.data());
  require(H5DSset_scale(scale.get(), name), scale.get());
  describe(scale.get(), unit, long_name);
  return scale;
}

std::vector<Handle> write_scales(hid_t file, const CurvePlan& plan) {
  std::vector<Handle> scales;
  scales.push_back(
      write_scale(file, "range_bytes", plan.ranges_bytes, "B", "flash over which requests are spread"));
  scales.push_back(write_scale(file, "threads", plan.threads, "1", "threads that submit"));
  scales.push_back(
      write_scale(file, "depth", plan.depths, "1", "requests that each thread keeps outstanding"));
  scales.push_back(write_scale(file, "size_bytes", plan.sizes_bytes, "B", "size of a request"));
  return scales;
}

void write_figure(hid_t file, const Figure& figure, const Curve& curve, const std::vector<Handle>& scales) {
  const CurvePlan& plan = curve.plan;
  const hdf5::Shape shape{plan.ranges_bytes.size(), plan.threads.size(), plan.depths.size(),
                          plan.sizes_bytes.size()};
  std::vector<double> values;
  for (const CurvePoint& point : curve.points) {
    values.push_back(figure.value(point.result));
  }
  const Handle dataset = hdf5::create_dataset(file, figure.name, H5T_IEEE_F64LE, shape, {});
  hdf5::write_block(dataset.get(), H5T_NATIVE_DOUBLE, {0, 0, 0, 0}, shape, values.data());
  describe(dataset.get(), figure.unit, figure.long_name);
  for (unsigned axis = 0; axis < shape.size(); ++axis) {
    require(H5DSattach_scale(dataset.get(), scales[axis].get(), axis), dataset.get());
  }
}

void write_provenance(hid_t group, const DeviceChoice& choice, const Curve& curve) {
  Provenance provenance = describe_build_and_host();
  std::erase_if(provenance.entries, [](const auto& entry) { return entry.first == "schema_version"; });
  provenance.add("device", choice.config.resolved_yaml);
  provenance.add("submitting_host", choice.host_name);
  provenance.add("submitting_host_per_command_s", fmt::format("{}", choice.host.per_command_s));
  provenance.add("submitting_host_cycles_per_command", fmt::format("{}", choice.host.cycles_per_command));
  provenance.add("submitting_host_clock_hz", fmt::format("{}", choice.host.clock_hz));
  provenance.add("submitting_host_per_byte_s", fmt::format("{}", choice.host.per_byte_s));
  provenance.add("submitting_host_wake_s", fmt::format("{}", choice.host.wake_s));
  provenance.add("notes", fmt::format("{}", fmt::join(curve.notes, "\n")));
  for (const auto& [name, value] : provenance.entries) {
    hdf5::write_string(group, name, value);
  }
  hdf5::write_int(group, "seed", static_cast<std::int64_t>(curve.plan.seed));
}

}  // namespace

void write_curve_hdf5(const std::filesystem::path& out, const DeviceChoice& choice, const Curve& curve) {
  NewFile target(out);
  Handle file = hdf5::create_file(target.temporary());
  hdf5::write_string(file.get(), "format", "kvreplay-curve");
  hdf5::write_int(file.get(), "version", 1);
  hdf5::write_string(file.get(), "title", curve_title(choice, curve));
  hdf5::write_string(file.get(), "device", choice.params.name);
  hdf5::write_string(file.get(), "type", choice.config.device.type);
  hdf5::write_string(file.get(), "pattern", describe_pattern(curve.plan));
  {
    const std::vector<Handle> scales = write_scales(file.get(), curve.plan);
    for (const Figure& figure : kFigures) {
      write_figure(file.get(), figure, curve, scales);
    }
  }
  write_provenance(hdf5::create_group(file.get(), "provenance").get(), choice, curve);
  hdf5::close_file(file);
  target.commit();
}

}  // namespace kvr::cli
