#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/half.hpp"
#include "sim/base/matrix.hpp"
#include "sim/config/stage_config.hpp"

namespace kvr {

/// The queries of one KV head at one position, [group, head_dim].
struct HeadQueries {
  std::span<const Half> own;
  std::span<const Half> speculated = {};  ///< what the layer below takes them to be; empty where not wanted
};

/// Queries of the heads of a set side by side: [heads * group, heads * head_dim], each in its own head's
/// columns and zero in the others', so that its product with a row of the set is that with its own head's.
/// `one` [group, head_dim] of head `head` into `all`, which is that large and zero elsewhere.
void place_queries(std::span<const Half> one, std::int64_t head, std::int64_t heads, std::int64_t head_dim,
                   std::span<float> all);

/// What a set's stages may rank for: the queries of the position asked last, those of the one before, and
/// what the layer below takes the former to be; each as `place_queries` has them.
class SetQueries {
 public:
  SetQueries(std::int64_t heads, std::int64_t group, std::int64_t head_dim)
      : heads_(heads), head_dim_(head_dim), rows_(heads * group) {
    own_.assign(static_cast<std::size_t>(rows_ * width()), 0.0F);
  }

  /// `queries` [heads] of a new position.
  void ask(std::span<const HeadQueries> queries);
  /// Before any position: the last of `window` [positions * heads * group, heads * head_dim], if it has one.
  void begin_with_last(const MatrixView<float>& window);
  /// [heads * group, heads * head_dim]
  MatrixView<float> of(Queries whose) const;
  /// Of its own to those of `whose`, mean over the query heads; 1 where either has no length.
  double cosine_to(Queries whose) const;

 private:
  std::int64_t width() const { return heads_ * head_dim_; }

  std::int64_t heads_;
  std::int64_t head_dim_;
  std::int64_t rows_;
  std::vector<float> own_;
  std::vector<float> last_;
  std::vector<float> speculated_;
};

}  // namespace kvr
