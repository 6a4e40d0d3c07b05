#pragma once

#include <string>
#include <vector>

#include "sim/base/hdf5.hpp"
#include "traces/header.hpp"

/// The root attributes of a kvtrace file: rules, reading, writing. Internal to traces/.
namespace kvr::trace {

constexpr const char* kFormat = "kvtrace";
constexpr std::int64_t kVersion = 1;

/// Every problem of a header, each starting with `file`.
std::vector<std::string> check_header(const Header& header, const std::string& file);

void write_header(hid_t file, Header header);

struct ReadHeader {
  Header header;
  /// Format, version and every size were read and agree, so the shapes of the datasets are known.
  bool sizes_sound = false;
};

/// Reads and checks; whatever is wrong is appended to `problems`.
ReadHeader read_header(hid_t file, std::vector<std::string>& problems);

}  // namespace kvr::trace
