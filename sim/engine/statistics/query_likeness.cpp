#include "sim/engine/statistics/query_likeness.hpp"

#include <cmath>
#include <limits>

#include "sim/base/convert.hpp"
#include "sim/kernels/dot.hpp"

namespace kvr {

void QueryLikeness::observe(std::span<const Half> queries) {
  const auto d = static_cast<std::size_t>(head_dim_);
  std::vector<float> unit(queries.size());
  to_float(queries, unit);
  for (std::size_t query = 0; query < static_cast<std::size_t>(group_); ++query) {
    const auto row = std::span(unit).subspan(query * d, d);
    const float length = std::sqrt(kernels::dot(row, row));
    for (float& channel : row) {
      channel = length > 0.0F ? channel / length : 0.0F;
    }
  }
  for (std::size_t lag = 0; lag < kLags.size(); ++lag) {
    if (std::ssize(last_) < kLags[lag]) {
      continue;
    }
    const std::vector<float>& before = last_[last_.size() - static_cast<std::size_t>(kLags[lag])];
    for (std::size_t query = 0; query < static_cast<std::size_t>(group_); ++query) {
      const auto of = [&](const std::vector<float>& rows) { return std::span(rows).subspan(query * d, d); };
      sums_[lag] += static_cast<double>(kernels::dot(of(unit), of(before)));
      ++counts_[lag];
    }
  }
  last_.push_back(std::move(unit));
  if (std::ssize(last_) > kLags.back()) {
    last_.pop_front();
  }
}

double QueryLikeness::cosine(std::size_t lag) const {
  return counts_[lag] == 0 ? std::numeric_limits<double>::quiet_NaN()
                           : sums_[lag] / static_cast<double>(counts_[lag]);
}

}  // namespace kvr
