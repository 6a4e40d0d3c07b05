#pragma once

#include <cstdint>
#include <string>

namespace kvr {

/// Over what a figure has a value in every step. What is reported for a part of that is added up.
enum class FigureDims : std::uint8_t { step, step_layer, step_layer_head };

enum class FigureKind : std::uint8_t {
  state,  ///< as it is when the step ends
  total,  ///< reported as counted since the beginning; results have what each step adds
};

/// A number of an implementation's own that results have beside the metrics.
struct FigureInfo {
  std::string name;  ///< of lower-case letters, digits and underscores
  std::string unit;  ///< "1" for a ratio, "B" for bytes
  std::string long_name;
  std::string formula;  ///< of the value that a step has
  FigureDims dims = FigureDims::step;
  FigureKind kind = FigureKind::state;
};

}  // namespace kvr
