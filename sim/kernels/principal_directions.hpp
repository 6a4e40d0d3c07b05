#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sim/base/matrix.hpp"

namespace kvr::kernels {

/// An orthonormal basis of what rows have in common.
struct PrincipalDirections {
  std::int64_t rank = 0;
  std::vector<float> basis;    ///< [width, rank]: right singular vectors, of the largest singular value first
  std::vector<double> energy;  ///< [rank]: squared singular value as a share of all of them
};

/// Finds the right singular vectors of rows that need not fit in memory: they are the eigenvectors of the sum
/// of x x^T over the rows x, in double precision. Costs rows * width^2, then width^3.
class RowProducts {
 public:
  explicit RowProducts(std::int64_t width);
  ~RowProducts();
  RowProducts(RowProducts&&) noexcept;
  RowProducts& operator=(RowProducts&&) noexcept;

  /// `rows` [n, width].
  void add(MatrixView<float> rows);
  std::int64_t rows() const { return rows_; }
  /// `rank` <= width. `centred`: of the rows less their mean (principal components). Vectors of a lower rank
  /// are the first of those of a higher one; the largest element of each by magnitude is positive.
  PrincipalDirections directions(std::int64_t rank, bool centred) const;

 private:
  struct Sums;
  std::unique_ptr<Sums> sums_;
  std::int64_t rows_ = 0;
};

}  // namespace kvr::kernels
