#include "sim/kernels/principal_directions.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"

namespace kvr::kernels {

struct RowProducts::Sums {
  Eigen::MatrixXd products;  ///< lower triangle
  Eigen::VectorXd rows;
};

RowProducts::RowProducts(std::int64_t width)
    : sums_(std::make_unique<Sums>(Sums{Eigen::MatrixXd::Zero(width, width), Eigen::VectorXd::Zero(width)})) {
}
RowProducts::~RowProducts() = default;
RowProducts::RowProducts(RowProducts&&) noexcept = default;
RowProducts& RowProducts::operator=(RowProducts&&) noexcept = default;

void RowProducts::add(MatrixView<float> rows) {
  KVR_CHECK(rows.cols == sums_->rows.size(), "rows of {} and {} columns", rows.cols, sums_->rows.size());
  using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Eigen::Map<const RowMajor, 0, Eigen::OuterStride<>> block(rows.data, rows.rows, rows.cols,
                                                                  Eigen::OuterStride<>(rows.stride));
  const Eigen::MatrixXd transposed = block.transpose().cast<double>();
  sums_->products.selfadjointView<Eigen::Lower>().rankUpdate(transposed);
  sums_->rows += transposed.rowwise().sum();
  rows_ += rows.rows;
}

PrincipalDirections RowProducts::directions(std::int64_t rank, bool centred) const {
  const Eigen::Index width = sums_->rows.size();
  KVR_CHECK(rank >= 1 && rank <= width, "rank {} of {} columns", rank, width);
  Eigen::MatrixXd products = sums_->products.selfadjointView<Eigen::Lower>();
  if (centred && rows_ > 0) {
    products -= sums_->rows * sums_->rows.transpose() / static_cast<double>(rows_);
  }
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(products);  // ascending
  KVR_CHECK(solver.info() == Eigen::Success, "no eigenvectors of {} columns", width);
  PrincipalDirections found{.rank = rank, .basis = {}, .energy = {}};
  found.basis.resize(static_cast<std::size_t>(width * rank));
  const double all = std::max(solver.eigenvalues().cwiseMax(0.0).sum(), 1e-300);
  for (Eigen::Index direction = 0; direction < rank; ++direction) {
    Eigen::VectorXd vector = solver.eigenvectors().col(width - 1 - direction);
    Eigen::Index largest = 0;
    vector.cwiseAbs().maxCoeff(&largest);
    vector *= vector(largest) < 0.0 ? -1.0 : 1.0;
    for (Eigen::Index row = 0; row < width; ++row) {
      found.basis[static_cast<std::size_t>(row * rank + direction)] = static_cast<float>(vector(row));
    }
    found.energy.push_back(std::max(solver.eigenvalues()(width - 1 - direction), 0.0) / all);
  }
  return found;
}

}  // namespace kvr::kernels
