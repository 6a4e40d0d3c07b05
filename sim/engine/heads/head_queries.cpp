#include "sim/engine/heads/head_queries.hpp"

#include "sim/base/convert.hpp"

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

}  // namespace kvr
