// Both pursuits keep the products of all atoms with what is left of the row: taking off w times atom j lowers
// them by w times the products of j, so that the row itself is met once.
#include "sim/kernels/sparse_codes.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/base/error.hpp"
#include "sim/kernels/dot.hpp"

namespace kvr::kernels {
namespace {

/// Of a table that keeps its atoms' products with one another: 64 MiB.
constexpr std::int64_t kMostKept = 4096;

std::int32_t largest(std::span<const float> products) {
  const auto at = std::ranges::max_element(products, {}, [](float one) { return std::abs(one); });
  return static_cast<std::int32_t>(at - products.begin());
}

/// The weights of least squares for atoms that come one by one: L L^T = their products, row by row.
class GrowingSolver {
 public:
  /// `products` of the new atom with those that are there, then with itself. False, and nothing is changed,
  /// where it is a sum of them.
  bool add(std::span<const float> products, float with_row) {
    std::vector<double> row(products.begin(), products.end() - 1);
    double left = static_cast<double>(products.back());
    for (std::size_t i = 0; i < row.size(); ++i) {
      for (std::size_t k = 0; k < i; ++k) {
        row[i] -= factor_[i][k] * row[k];
      }
      row[i] /= factor_[i][i];
      left -= row[i] * row[i];
    }
    constexpr double kSpanned = 1e-6;
    if (left <= kSpanned) {
      return false;
    }
    row.push_back(std::sqrt(left));
    factor_.push_back(std::move(row));
    with_row_.push_back(static_cast<double>(with_row));
    return true;
  }

  std::vector<float> weights() const {
    std::vector<double> x = with_row_;
    for (std::size_t i = 0; i < x.size(); ++i) {
      for (std::size_t k = 0; k < i; ++k) {
        x[i] -= factor_[i][k] * x[k];
      }
      x[i] /= factor_[i][i];
    }
    for (std::size_t i = x.size(); i-- > 0;) {
      for (std::size_t k = i + 1; k < x.size(); ++k) {
        x[i] -= factor_[k][i] * x[k];
      }
      x[i] /= factor_[i][i];
    }
    std::vector<float> weights;
    std::ranges::transform(x, std::back_inserter(weights),
                           [](double one) { return static_cast<float>(one); });
    return weights;
  }

 private:
  std::vector<std::vector<double>> factor_;
  std::vector<double> with_row_;  ///< the atoms' products with the row
};

double squares(std::span<const float> row) {
  return static_cast<double>(dot(row, row));
}

/// Makes it one of length 1; false where it has no direction.
bool make_unit(std::span<float> row) {
  const double length = std::sqrt(squares(row));
  if (!(length > 1e-12)) {
    return false;
  }
  for (float& element : row) {
    element = static_cast<float>(static_cast<double>(element) / length);
  }
  return true;
}

/// A dictionary while it is trained: the rows, and what its codes leave of them.
class Training {
 public:
  Training(MatrixView<float> rows, const DictionaryPlan& plan, Rng& rng)
      : rows_(rows),
        plan_(plan),
        atoms_(static_cast<std::size_t>(plan.atoms * rows.cols)),
        left_(static_cast<std::size_t>(rows.rows * rows.cols)) {
    begin(rng);
  }

  void round() {
    code_rows();
    std::vector<bool> taken(static_cast<std::size_t>(rows_.rows), false);
    for (std::int64_t index = 0; index < plan_.atoms; ++index) {
      if (users_[static_cast<std::size_t>(index)].empty()) {
        replace(index, taken);
      } else {
        turn(index);
      }
    }
  }

  std::vector<float> take() { return std::move(atoms_); }

 private:
  struct Use {
    std::int64_t row;
    float weight;
  };

  MatrixRef<float> atoms() { return matrix_ref<float>(atoms_.data(), plan_.atoms, rows_.cols); }
  MatrixRef<float> left() { return matrix_ref<float>(left_.data(), rows_.rows, rows_.cols); }

  void begin(Rng& rng) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(rows_.rows));
    std::iota(order.begin(), order.end(), 0);
    std::size_t drawn = 0;
    for (std::int64_t index = 0; index < plan_.atoms; ++index) {
      const auto atom = atoms().row(index);
      bool found = false;
      for (; !found && drawn < order.size(); ++drawn) {
        std::swap(order[drawn], order[drawn + rng.below(order.size() - drawn)]);
        std::ranges::copy(rows_.row(order[drawn]), atom.begin());
        found = make_unit(atom);
      }
      while (!found) {
        std::ranges::generate(atom, [&rng] { return static_cast<float>(rng.normal()); });
        found = make_unit(atom);
      }
    }
  }

  void code_rows() {
    const AtomTable table(atoms_, rows_.cols);
    users_.assign(static_cast<std::size_t>(plan_.atoms), {});
    for (std::int64_t row = 0; row < rows_.rows; ++row) {
      SparseCode code = orthogonal_pursuit(table, rows_.row(row), plan_.nonzeros);
      const auto left_of = left().row(row);
      std::ranges::copy(rows_.row(row), left_of.begin());
      for (std::size_t i = 0; i < code.atoms.size(); ++i) {
        add_scaled(-code.weights[i], table.atom(code.atoms[i]), left_of);
        users_[static_cast<std::size_t>(code.atoms[i])].push_back({row, code.weights[i]});
      }
    }
  }

  void turn(std::int64_t index) {
    const auto atom = atoms().row(index);
    std::vector<float> sum(atom.size(), 0.0F);
    for (const Use& use : users_[static_cast<std::size_t>(index)]) {
      const auto left_of = left().row(use.row);
      add_scaled(use.weight, atom, left_of);
      add_scaled(use.weight, left_of, sum);
    }
    const bool turned = make_unit(sum);
    for (const Use& use : users_[static_cast<std::size_t>(index)]) {
      const auto left_of = left().row(use.row);
      turned ? add_scaled(-dot(left_of, sum), sum, left_of) : add_scaled(-use.weight, atom, left_of);
    }
    if (turned) {
      std::ranges::copy(sum, atom.begin());
    }
  }

  /// No row twice in a round.
  void replace(std::int64_t index, std::vector<bool>& taken) {
    std::int64_t worst = -1;
    double most = 0.0;
    for (std::int64_t row = 0; row < rows_.rows; ++row) {
      const double error = taken[static_cast<std::size_t>(row)] ? 0.0 : squares(left().row(row));
      if (error > most) {
        worst = row;
        most = error;
      }
    }
    if (worst < 0) {
      return;  // every row is told exactly, or has been taken
    }
    taken[static_cast<std::size_t>(worst)] = true;
    std::vector<float> unit(rows_.row(worst).begin(), rows_.row(worst).end());
    if (make_unit(unit)) {
      std::ranges::copy(unit, atoms().row(index).begin());
    }
  }

  MatrixView<float> rows_;
  DictionaryPlan plan_;
  std::vector<float> atoms_;             // [atoms, width]
  std::vector<float> left_;              // [rows, width]
  std::vector<std::vector<Use>> users_;  // [atoms]
};

}  // namespace

AtomTable::AtomTable(std::vector<float> atoms, std::int64_t width)
    : atoms_(std::ssize(atoms) / width), width_(width), vectors_(std::move(atoms)) {
  KVR_CHECK(atoms_ >= 1 && std::ssize(vectors_) == atoms_ * width_, "{} elements of atoms of {}",
            vectors_.size(), width_);
  if (atoms_ <= kMostKept) {
    products_.resize(static_cast<std::size_t>(atoms_ * atoms_));
    dot_rows(table(), table(), matrix_ref<float>(products_.data(), atoms_, atoms_));
  }
}

std::vector<float> AtomTable::products(std::int64_t index) const {
  if (products_.empty()) {
    return products(atom(index));
  }
  const auto row = matrix_view<float>(products_.data(), atoms_, atoms_).row(index);
  return {row.begin(), row.end()};
}

std::vector<float> AtomTable::products(std::span<const float> row) const {
  std::vector<float> products(static_cast<std::size_t>(atoms_));
  dot_rows(matrix_view<float>(row.data(), 1, width_), table(), matrix_ref<float>(products.data(), 1, atoms_));
  return products;
}

SparseCode matching_pursuit(const AtomTable& table, std::span<const float> row, std::int64_t count,
                            const std::function<float(float)>& rounded) {
  SparseCode code;
  std::vector<float> products = table.products(row);
  for (std::int64_t step = 0; step < count; ++step) {
    const std::int32_t atom = largest(products);
    const float weight = rounded(products[static_cast<std::size_t>(atom)]);
    add_scaled(-weight, table.products(std::int64_t{atom}), products);
    code.atoms.push_back(atom);
    code.weights.push_back(weight);
  }
  return code;
}

SparseCode orthogonal_pursuit(const AtomTable& table, std::span<const float> row, std::int64_t count) {
  SparseCode code;
  const std::vector<float> of_row = table.products(row);
  std::vector<float> left = of_row;
  std::vector<std::vector<float>> of_atoms;  // those that were taken
  GrowingSolver solver;
  for (std::int64_t step = 0; step < count; ++step) {
    const std::int32_t atom = largest(left);
    std::vector<float> of_atom = table.products(std::int64_t{atom});
    std::vector<float> products;
    std::ranges::transform(code.atoms, std::back_inserter(products),
                           [&](std::int32_t other) { return of_atom[static_cast<std::size_t>(other)]; });
    products.push_back(of_atom[static_cast<std::size_t>(atom)]);
    const float with_row = of_row[static_cast<std::size_t>(atom)];
    if (std::ranges::find(code.atoms, atom) != code.atoms.end() || !solver.add(products, with_row)) {
      break;
    }
    code.atoms.push_back(atom);
    of_atoms.push_back(std::move(of_atom));
    code.weights = solver.weights();
    left = of_row;
    for (std::size_t i = 0; i < of_atoms.size(); ++i) {
      add_scaled(-code.weights[i], of_atoms[i], left);
    }
  }
  return code;
}

void add_up(const AtomTable& table, const SparseCode& code, std::span<float> row) {
  std::ranges::fill(row, 0.0F);
  for (std::size_t i = 0; i < code.atoms.size(); ++i) {
    add_scaled(code.weights[i], table.atom(code.atoms[i]), row);
  }
}

std::vector<float> train_dictionary(MatrixView<float> rows, const DictionaryPlan& plan, Rng& rng) {
  Training training(rows, plan, rng);
  for (std::int64_t round = 0; round < plan.rounds; ++round) {
    training.round();
  }
  return training.take();
}

}  // namespace kvr::kernels
