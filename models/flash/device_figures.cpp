#include "models/flash/device_figures.hpp"

namespace kvr::flash {

std::vector<FigureInfo> array_figures() {
  using enum FigureDims;
  using enum FigureKind;
  return {{"map_misses", "commands", "commands that waited for a page of the mapping table",
           "count; an expected value where the device is a formula", step, total},
          {"sensed_bytes", "B", "bytes that the array senses for reads",
           "whole pages; pages of the mapping table apart", step, total},
          {"slc_bytes", "B", "bytes programmed into the SLC pool", "sum", step, total},
          {"tlc_bytes", "B", "bytes programmed elsewhere", "sum; amplification and folding included", step,
           total},
          {"folded_bytes", "B", "bytes moved out of the SLC pool", "part of tlc_bytes", step, total}};
}

void report_array(const DeviceStats& stats, Report& report) {
  report.add("map_misses", stats.map_misses);
  report.add("sensed_bytes", stats.sensed_bytes);
  report.add("slc_bytes", stats.slc_bytes);
  report.add("tlc_bytes", stats.tlc_bytes);
  report.add("folded_bytes", stats.folded_bytes);
}

}  // namespace kvr::flash
