#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/half.hpp"
#include "sim/calibration/basis_file.hpp"
#include "sim/kernels/reference_search.hpp"
#include "sim/kernels/sparse_codes.hpp"
#include "traces/reader.hpp"

namespace kvr {

/// A trace that rows are taken from.
struct CalibrationSource {
  std::string path;
  trace::Reader reader;
  std::int64_t tokens;
  std::string hash;
};

/// Which residuals a codec will store.
struct ResidualPlan {
  kernels::ReferenceGrid grid{.sinks = 8, .stride = 10, .growth = 0.0};
  std::int64_t references = 1;
};

/// Of a captured layer's keys before their rotary embedding and values side by side, `heads` from `first` on,
/// beside earlier rows like them. Throws InputError where they leave nothing.
KeyBasis residual_basis(const std::vector<CalibrationSource>& sources, std::int64_t layer, std::int64_t first,
                        std::int64_t heads, std::int64_t rank, const ResidualPlan& plan);

/// Of a captured layer: atoms of the keys of all its heads before their rotary embedding, then of the values.
std::vector<KeyBasis> layer_dictionaries(const std::vector<CalibrationSource>& sources, std::int64_t layer,
                                         const kernels::DictionaryPlan& plan, std::uint64_t seed);

}  // namespace kvr
