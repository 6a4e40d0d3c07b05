#include "sim/engine/heads/attention/head_queries.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"

namespace kvr {

void place_queries(std::span<const Half> one, std::int64_t head, std::int64_t heads, std::int64_t head_dim,
                   std::span<float> all) {
  const auto d = static_cast<std::size_t>(head_dim);
  const std::size_t group = one.size() / d;
  const std::size_t width = d * static_cast<std::size_t>(heads);
  const auto h = static_cast<std::size_t>(head);
  for (std::size_t query = 0; query < group; ++query) {
    to_float(one.subspan(query * d, d), all.subspan((h * group + query) * width + h * d, d));
  }
}

void SetQueries::ask(std::span<const HeadQueries> queries) {
  std::swap(last_, own_);
  own_.assign(static_cast<std::size_t>(rows_ * width()), 0.0F);
  speculated_.assign(own_.size(), 0.0F);
  for (std::int64_t head = 0; head < heads_; ++head) {
    const HeadQueries& one = queries[static_cast<std::size_t>(head)];
    place_queries(one.own, head, heads_, head_dim_, own_);
    place_queries(one.speculated, head, heads_, head_dim_, speculated_);
  }
}

void SetQueries::begin_with_last(const MatrixView<float>& window) {
  const std::int64_t first = window.rows - rows_;
  for (std::int64_t query = 0; first >= 0 && query < rows_; ++query) {
    std::ranges::copy(window.row(first + query), own_.begin() + query * width());
  }
}

MatrixView<float> SetQueries::of(Queries whose) const {
  switch (whose) {
    case Queries::own:
    case Queries::oracle:
      return matrix_view<float>(own_.data(), rows_, width());
    case Queries::previous_layer:
      return matrix_view<float>(speculated_.data(), rows_, width());
    case Queries::last_step:
      return matrix_view<float>(last_.data(), rows_, width());
  }
  throw InternalError("no such queries");
}

double SetQueries::cosine_to(Queries whose) const {
  const auto product = [](std::span<const float> a, std::span<const float> b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
  };
  const MatrixView<float> own = of(Queries::own);
  const MatrixView<float> other = of(whose);
  double sum = 0.0;
  for (std::int64_t query = 0; query < rows_; ++query) {
    const std::span<const float> a = own.row(query);
    const std::span<const float> b = other.row(query);
    const double lengths = std::sqrt(product(a, a) * product(b, b));
    sum += lengths > 0.0 ? product(a, b) / lengths : 1.0;
  }
  return sum / static_cast<double>(rows_);
}

}  // namespace kvr
