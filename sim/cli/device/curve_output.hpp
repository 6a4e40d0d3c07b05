#pragma once

#include <filesystem>
#include <string>

#include "sim/cli/device/curve.hpp"

namespace kvr::cli {

/// One table for each range and number of threads: a row for each size, bandwidth and mean latency for each
/// depth; then the notes.
std::string curve_table(const DeviceChoice& choice, const Curve& curve);

/// An object with device, type, heat, host, seed, notes and points; units are in the names.
std::string curve_json(const DeviceChoice& choice, const Curve& curve);

/// A picture: for each range and number of threads bandwidth over size beside latency over size, a line for
/// each depth, all axes logarithmic.
std::string curve_svg(const DeviceChoice& choice, const Curve& curve);

/// An HDF5 file with the dimension scales range, threads, depth and size, which xarray opens; the group
/// `provenance` says where it comes from. Throws SystemError if it cannot be written.
void write_curve_hdf5(const std::filesystem::path& out, const DeviceChoice& choice, const Curve& curve);

/// "4KiB".
std::string bytes_text(std::int64_t bytes);
/// "1 thread", "8 threads".
std::string threads_text(std::int64_t threads);
/// "ufs40 (analytic, cold), random reads".
std::string curve_title(const DeviceChoice& choice, const Curve& curve);
/// Three or more digits, as many as say something: 97.3, 453, 3990.
std::string figure_text(double value);

}  // namespace kvr::cli
