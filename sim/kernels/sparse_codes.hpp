#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "sim/base/matrix.hpp"
#include "sim/base/rng.hpp"

namespace kvr::kernels {

/// Unit vectors of which rows are made up, more of them than a row has elements or fewer.
class AtomTable {
 public:
  /// `atoms` [atoms, width], each of length 1 up to rounding; at least one.
  AtomTable(std::vector<float> atoms, std::int64_t width);

  std::int64_t atoms() const { return atoms_; }
  std::int64_t width() const { return width_; }
  std::span<const float> atom(std::int64_t index) const { return table().row(index); }
  /// The products of one atom with all, [atoms].
  std::vector<float> products(std::int64_t index) const;
  /// Of `row` with all, [atoms].
  std::vector<float> products(std::span<const float> row) const;

 private:
  MatrixView<float> table() const { return matrix_view<float>(vectors_.data(), atoms_, width_); }

  std::int64_t atoms_;
  std::int64_t width_;
  std::vector<float> vectors_;   ///< [atoms, width]
  std::vector<float> products_;  ///< [atoms, atoms]; empty where they are too many to keep
};

/// A row as a sum of weighted atoms.
struct SparseCode {
  std::vector<std::int32_t> atoms;
  std::vector<float> weights;
};

/// Matching pursuit (Mallat and Zhang 1993): `count` times the atom of the largest product with what is left,
/// which is taken off it. An atom may come again. `rounded`: what a weight is stored as; what rounding leaves
/// is left for later atoms, so that what is left never grows if rounding keeps 0 <= rounded / weight <= 2.
SparseCode matching_pursuit(const AtomTable& table, std::span<const float> row, std::int64_t count,
                            const std::function<float(float)>& rounded);
/// Orthogonal matching pursuit (Pati et al. 1993), by Cholesky factors (Rubinstein et al. 2008): after each
/// atom all weights are those of least squares. No atom comes twice; fewer than `count` where those that are
/// taken span all that the others have.
SparseCode orthogonal_pursuit(const AtomTable& table, std::span<const float> row, std::int64_t count);
/// The sum, [width].
void add_up(const AtomTable& table, const SparseCode& code, std::span<float> row);

struct DictionaryPlan {
  std::int64_t atoms = 256;
  std::int64_t nonzeros = 4;  ///< of each row's code
  std::int64_t rounds = 10;
};

/// k-SVD (Aharon, Elad and Bruckstein 2006) with its approximate update (Rubinstein et al. 2008), begun with
/// `rows` [n, width] drawn by `rng` and, where they are too few, with directions of its own. Each round codes
/// all rows by orthogonal pursuit, then turns each atom to what the rows that use it have beside their
/// others; one that none uses becomes the row that is told worst. Returns [atoms, width], unit vectors.
std::vector<float> train_dictionary(MatrixView<float> rows, const DictionaryPlan& plan, Rng& rng);

}  // namespace kvr::kernels
