#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "sim/interfaces/flash_device.hpp"

namespace kvr::cli {

/// What a row is to the device it was measured on.
enum class RowUse {
  fitted,    ///< the device was chosen so that it meets this row
  checked,   ///< it was not
  reported,  ///< it was not, and nothing is claimed
  apart,     ///< measured on something else, or at odds with itself; `note` says why
};
const char* text_of(RowUse use);

/// One load that was measured on a part: a closed loop, as fio makes it.
struct MeasuredRow {
  std::string device;  ///< configs/devices/NAME.yaml
  IoKind kind = IoKind::read;
  bool sequential = false;
  std::int64_t bytes = 0;
  std::int64_t depth = 0;  ///< of each thread
  std::int64_t threads = 0;
  std::int64_t range_bytes = 0;
  double bytes_per_s = 0.0;
  double p99_s = 0.0;  ///< 0: not measured
  RowUse use = RowUse::fitted;
  std::string setting;  ///< KEY=VALUE of the device that the part was set to; empty: none
  std::string note;
  std::string file;  ///< its name
};

/// The rows of `files`, configs/measured/*.csv, in order. Throws InputError with all that is wrong.
std::vector<MeasuredRow> read_measured_rows(const std::vector<std::filesystem::path>& files);

}  // namespace kvr::cli
