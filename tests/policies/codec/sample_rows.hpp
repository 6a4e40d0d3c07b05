#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/half.hpp"
#include "sim/base/matrix.hpp"
#include "traces/reader.hpp"

namespace kvr::test {

/// Rows of the shipped trace: of a captured layer the keys of all heads, as captured, then their values.
class SampleRows {
 public:
  SampleRows(std::int64_t layer, std::int64_t entries) : entries_(entries) {
    const trace::Reader reader(std::string(KVR_SOURCE_DIR) + "/traces/samples/smollm2.h5");
    const std::int64_t d = reader.header().geometry.head_dim;
    const std::int64_t heads = reader.header().kv_heads_captured();
    width_ = 2 * heads * d;
    rows_.resize(static_cast<std::size_t>(entries * width_));
    std::vector<Half> own(static_cast<std::size_t>(entries * d));
    for (std::int64_t part = 0; part < 2 * heads; ++part) {
      reader.read(part < heads ? trace::Field::keys : trace::Field::values, layer, part % heads, 0, entries,
                  own);
      for (std::int64_t entry = 0; entry < entries; ++entry) {
        std::copy_n(own.begin() + entry * d, d, rows_.begin() + entry * width_ + part * d);
      }
    }
  }

  MatrixView<Half> view() const { return matrix_view<Half>(rows_.data(), entries_, width_); }
  std::int64_t width() const { return width_; }

 private:
  std::int64_t entries_;
  std::int64_t width_ = 0;
  std::vector<Half> rows_;
};

}  // namespace kvr::test
