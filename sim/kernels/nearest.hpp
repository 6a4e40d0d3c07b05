#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/matrix.hpp"

namespace kvr::kernels {

/// Directions laid out for NearestSearch: in panels of kPanelWidth candidates, each [d, kPanelWidth], so that
/// one panel's products with a few points stay in registers and L1. The last panel is padded.
class CandidatePanels {
 public:
  static constexpr std::int64_t kPanelWidth = 32;

  /// candidates: [k, d], k >= 1; bias: [k], added to each product.
  CandidatePanels(MatrixView<float> candidates, std::span<const float> bias);

  std::int64_t dimension() const { return dimension_; }
  std::int64_t panels() const { return static_cast<std::int64_t>(bias_.size()) / kPanelWidth; }
  const float* panel(std::int64_t i) const { return data_.data() + i * dimension_ * kPanelWidth; }
  const float* bias(std::int64_t i) const { return bias_.data() + i * kPanelWidth; }

 private:
  std::int64_t dimension_;
  std::vector<float> data_;
  std::vector<float> bias_;
};

/// For each point, the candidate of largest x.c + bias and that value; ties to the lower index.
/// points: [n, d]; index, value: [n]. The products never reach memory, which is why this is no library GEMM.
void best_products(MatrixView<float> points, const CandidatePanels& candidates, std::span<std::int32_t> index,
                   std::span<float> value);

}  // namespace kvr::kernels
