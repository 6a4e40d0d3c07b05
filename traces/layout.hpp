#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "sim/base/hdf5.hpp"
#include "traces/header.hpp"

/// Where everything is in a kvtrace file: the table of traces/FORMAT.md in code. Internal to traces/.
namespace kvr::trace {

enum class Element { half, float32, uint8, int32, int64 };

/// The type in the file and, the hosts being little-endian, in memory.
hid_t type_of(Element element);
std::size_t bytes_of(Element element);

struct Axis {
  /// For messages, e.g. "seq_len".
  const char* name;
  /// kUnknown: not to be checked.
  std::int64_t length;
};
constexpr std::int64_t kUnknown = -1;

struct DatasetSpec {
  std::string path;
  Element element;
  /// [time], [heads, time] or [heads, time, head_dim].
  std::vector<Axis> axes;
  const char* units;
  std::string long_name;
  bool required;

  std::size_t time_axis() const { return axes.size() == 1 ? 0 : 1; }
  std::int64_t length() const { return axes[time_axis()].length; }
  std::int64_t heads() const { return axes.size() == 1 ? 1 : axes[0].length; }
  /// Elements of one head at one time.
  std::int64_t width() const { return axes.size() == 3 ? axes[2].length : 1; }
};

/// "[2, 120, 64]", with "?" for an unknown extent.
std::string shape_text(const DatasetSpec& spec);

/// "/layers/<model layer index>"; `layer` counts the captured layers.
std::string layer_path(const Header& header, std::int64_t layer);
std::string field_path(const Header& header, std::int64_t layer, const std::string& name);

/// Every dataset the file must or may have. The header must be sound; `query_count` may be kUnknown.
std::vector<DatasetSpec> layout_of(const Header& header, std::int64_t query_count);
/// The one at `path`, which must be in the layout.
const DatasetSpec& find(const std::vector<DatasetSpec>& layout, const std::string& path);

}  // namespace kvr::trace
