// for each block of points: best value of every (point, lane) = -infinity
//   for each panel: for each four points of the block:
//     sums[point][lane] = bias[lane] + point . candidate[lane], in registers
//     where it beats the (point, lane)'s best: remember value and panel
//   per point: the best of its lanes, ties to the lower index
#include "sim/kernels/nearest.hpp"

#include <algorithm>
#include <limits>

#include "sim/base/dispatch.hpp"
#include "sim/base/error.hpp"

namespace kvr::kernels {
namespace {

constexpr int kPointsAtOnce = 4;
constexpr int kWidth = static_cast<int>(CandidatePanels::kPanelWidth);
/// Points whose best values wait in L1 while all panels pass by: 64 x 32 lanes x (float + int32) = 16 KiB.
constexpr std::int64_t kBlock = 64;

struct LaneBest {
  float value[kWidth];
  std::int32_t panel[kWidth];
};

/// Rows of four points; past the end, the last one again.
struct PointRows {
  const float* row[kPointsAtOnce];
};

}  // namespace

namespace detail {

KVR_DISPATCHED void product_tile(const float* const* rows, const float* __restrict__ panel, std::int64_t d,
                                 float* __restrict__ out) {
  const float* p0 = rows[0];
  const float* p1 = rows[1];
  const float* p2 = rows[2];
  const float* p3 = rows[3];
  float sums[kPointsAtOnce][kWidth] = {};
  for (std::int64_t i = 0; i < d; ++i) {
    const float factors[kPointsAtOnce] = {p0[i], p1[i], p2[i], p3[i]};
    for (int point = 0; point < kPointsAtOnce; ++point) {
      for (int lane = 0; lane < kWidth; ++lane) {
        sums[point][lane] += factors[point] * panel[i * kWidth + lane];
      }
    }
  }
  for (int point = 0; point < kPointsAtOnce; ++point) {
    for (int lane = 0; lane < kWidth; ++lane) {
      out[point * kWidth + lane] = sums[point][lane];
    }
  }
}

KVR_DISPATCHED void keep_better(const float* __restrict__ products, const float* __restrict__ bias,
                                std::int32_t panel, float* __restrict__ value,
                                std::int32_t* __restrict__ best) {
  for (int lane = 0; lane < kWidth; ++lane) {
    const float candidate = products[lane] + bias[lane];
    const bool better = candidate > value[lane];
    value[lane] = better ? candidate : value[lane];
    best[lane] = better ? panel : best[lane];
  }
}

}  // namespace detail

namespace {

PointRows point_rows(MatrixView<float> points, std::int64_t first) {
  PointRows rows{};
  for (int i = 0; i < kPointsAtOnce; ++i) {
    rows.row[i] = points.row_data(std::min(first + i, points.rows - 1));
  }
  return rows;
}

void pass_panel(MatrixView<float> block, const CandidatePanels& candidates, std::int64_t panel,
                LaneBest* best) {
  for (std::int64_t first = 0; first < block.rows; first += kPointsAtOnce) {
    const PointRows rows = point_rows(block, first);
    float products[kPointsAtOnce * kWidth];
    detail::product_tile(rows.row, candidates.panel(panel), candidates.dimension(), products);
    const std::int64_t count = std::min<std::int64_t>(kPointsAtOnce, block.rows - first);
    for (std::int64_t i = 0; i < count; ++i) {
      LaneBest& lanes = best[first + i];
      detail::keep_better(products + i * kWidth, candidates.bias(panel), static_cast<std::int32_t>(panel),
                          lanes.value, lanes.panel);
    }
  }
}

/// The best lane: larger value, then lower candidate index.
void choose_lane(const LaneBest& best, std::int32_t& index, float& value) {
  value = -std::numeric_limits<float>::infinity();
  index = std::numeric_limits<std::int32_t>::max();
  for (std::int32_t lane = 0; lane < kWidth; ++lane) {
    const std::int32_t candidate = best.panel[lane] * kWidth + lane;
    if (best.value[lane] > value || (best.value[lane] == value && candidate < index)) {
      value = best.value[lane];
      index = candidate;
    }
  }
}

}  // namespace

CandidatePanels::CandidatePanels(MatrixView<float> candidates, std::span<const float> bias)
    : dimension_(candidates.cols) {
  KVR_CHECK(candidates.rows >= 1 && static_cast<std::int64_t>(bias.size()) == candidates.rows,
            "{} candidates, {} biases", candidates.rows, bias.size());
  const std::int64_t count = (candidates.rows + kPanelWidth - 1) / kPanelWidth;
  data_.assign(static_cast<std::size_t>(count * dimension_ * kPanelWidth), 0.0F);
  bias_.assign(static_cast<std::size_t>(count * kPanelWidth), -std::numeric_limits<float>::infinity());
  std::copy(bias.begin(), bias.end(), bias_.begin());
  for (std::int64_t k = 0; k < candidates.rows; ++k) {
    float* column = data_.data() + k / kPanelWidth * dimension_ * kPanelWidth + k % kPanelWidth;
    for (std::int64_t i = 0; i < dimension_; ++i) {
      column[i * kPanelWidth] = candidates.row_data(k)[i];
    }
  }
}

void best_products(MatrixView<float> points, const CandidatePanels& candidates, std::span<std::int32_t> index,
                   std::span<float> value) {
  const auto n = static_cast<std::size_t>(points.rows);
  KVR_CHECK(points.cols == candidates.dimension(), "dimensions {} and {}", points.cols,
            candidates.dimension());
  KVR_CHECK(index.size() == n && value.size() == n, "outputs {} and {} for {}", index.size(), value.size(),
            n);
  std::vector<LaneBest> best(static_cast<std::size_t>(std::min(kBlock, points.rows)));
  for (std::int64_t first = 0; first < points.rows; first += kBlock) {
    const std::int64_t count = std::min(kBlock, points.rows - first);
    for (LaneBest& lanes : best) {
      std::fill(std::begin(lanes.value), std::end(lanes.value), -std::numeric_limits<float>::infinity());
      std::fill(std::begin(lanes.panel), std::end(lanes.panel), 0);
    }
    for (std::int64_t panel = 0; panel < candidates.panels(); ++panel) {
      pass_panel(points.slice(first, count), candidates, panel, best.data());
    }
    for (std::int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<std::size_t>(first + i);
      choose_lane(best[static_cast<std::size_t>(i)], index[at], value[at]);
    }
  }
}

}  // namespace kvr::kernels
