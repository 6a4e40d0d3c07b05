#include "sim/engine/heads/choosing/unit_weights.hpp"

#include <limits>
#include <vector>

#include "sim/kernels/dot.hpp"

namespace kvr {

Work find_unit_weights(const MatrixView<float>& queries, double attention_scale, const HeadView& view,
                       const EntrySet& live, const Clustering& units, const Candidates& candidates,
                       const MatrixRef<float>& weights) {
  std::vector<float> logits(static_cast<std::size_t>(queries.rows * view.entries()));
  const auto all = matrix_ref(logits.data(), queries.rows, view.entries());
  kernels::dot_rows(queries, view.keys, all);
  for (std::int64_t query = 0; query < queries.rows; ++query) {
    const std::span<float> row = all.row(query);
    std::vector<float> attention(row.size(), -std::numeric_limits<float>::infinity());
    live.for_each([&](EntryIndex entry) {
      const auto at = static_cast<std::size_t>(entry);
      if (at < row.size()) {
        attention[at] = row[at] * static_cast<float>(attention_scale);
      }
    });
    softmax_in_place(attention);
    for (UnitId unit = 0; unit < units.unit_count(); ++unit) {
      float sum = 0.0F;
      for (const EntryIndex entry : units.members(unit)) {
        sum += candidates.contains(entry) ? attention[static_cast<std::size_t>(entry)] : 0.0F;
      }
      weights.row(query)[static_cast<std::size_t>(unit)] = sum;
    }
  }
  const auto d = static_cast<double>(queries.cols);
  const auto keys = static_cast<double>(live.count_in({0, view.entries()}));
  return {.flops = static_cast<double>(queries.rows) * keys * 2.0 * d, .bytes = keys * 2.0 * d};
}

}  // namespace kvr
