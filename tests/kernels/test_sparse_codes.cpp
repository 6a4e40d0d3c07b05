// Sparse codes by hand and against what must hold of any: the names follow the list of properties that a
// dictionary codec has to keep.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "sim/kernels/dot.hpp"
#include "sim/kernels/sparse_codes.hpp"

namespace kvr::kernels {
namespace {

constexpr std::int64_t kWidth = 16;

std::vector<float> random_row(Rng& rng) {
  std::vector<float> row(kWidth);
  std::ranges::generate(row, [&rng] { return static_cast<float>(rng.normal()); });
  return row;
}

AtomTable random_atoms(std::int64_t atoms, Rng& rng) {
  std::vector<float> all;
  for (std::int64_t i = 0; i < atoms; ++i) {
    std::vector<float> row = random_row(rng);
    const double length = std::sqrt(static_cast<double>(dot(row, row)));
    for (const float element : row) {
      all.push_back(static_cast<float>(static_cast<double>(element) / length));
    }
  }
  return AtomTable(std::move(all), kWidth);
}

float same(float weight) {
  return weight;
}

/// ||row - its code||.
double left_of(const AtomTable& table, const std::vector<float>& row, const SparseCode& code) {
  std::vector<float> back(row.size());
  add_up(table, code, back);
  double sum = 0.0;
  for (std::size_t i = 0; i < row.size(); ++i) {
    sum += (static_cast<double>(row[i]) - static_cast<double>(back[i])) *
           (static_cast<double>(row[i]) - static_cast<double>(back[i]));
  }
  return std::sqrt(sum);
}

TEST_CASE("matching pursuit by hand: the diagonal goes first, the axis takes what it leaves") {
  const float r = std::sqrt(0.5F);
  const AtomTable table({1, 0, 0, 1, r, r}, 2);
  const std::vector<float> row{3, 1};
  // Products 3, 1 and 4 r = 2.83; (3, 0) off leaves (0, 1); then 1 of the second.
  const SparseCode code = matching_pursuit(table, row, 2, same);
  CHECK(code.atoms == std::vector<std::int32_t>{0, 1});
  CHECK(code.weights == std::vector<float>{3, 1});
  // (2, 2): the diagonal alone, 4 r, and zero of whatever comes next.
  const SparseCode diagonal = matching_pursuit(table, std::vector<float>{2, 2}, 2, same);
  CHECK(diagonal.atoms[0] == 2);
  CHECK(diagonal.weights[0] == doctest::Approx(4.0 * static_cast<double>(r)));
  CHECK(std::abs(diagonal.weights[1]) < 1e-6F);
  // What rounding leaves is told by the next atom: 3 is stored as 2, and the first atom comes again.
  const SparseCode rounded =
      matching_pursuit(table, std::vector<float>{3, 0}, 2, [](float w) { return w > 2.0F ? 2.0F : w; });
  CHECK(rounded.weights == std::vector<float>{2, 1});
  CHECK(rounded.atoms == std::vector<std::int32_t>{0, 0});
}

TEST_CASE("orthogonal pursuit by hand: after two atoms of a plane nothing of it is left") {
  const float r = std::sqrt(0.5F);
  const AtomTable table({1, 0, r, r}, 2);
  // Products 2 and 3 r = 2.12: the diagonal first; with the axis (2, 1) = 1 axis + sqrt 2 diagonal.
  const SparseCode code = orthogonal_pursuit(table, std::vector<float>{2, 1}, 5);
  CHECK(code.atoms == std::vector<std::int32_t>{1, 0});
  CHECK(code.weights[0] == doctest::Approx(std::sqrt(2.0)));
  CHECK(code.weights[1] == doctest::Approx(1.0));
}

TEST_CASE("the residual's norm does not grow with the number of atoms, in either pursuit") {
  Rng rng(3);
  const AtomTable table = random_atoms(40, rng);
  for (int trial = 0; trial < 20; ++trial) {
    const std::vector<float> row = random_row(rng);
    double matching = 1e9;
    double orthogonal = 1e9;
    for (std::int64_t count = 1; count <= kWidth; ++count) {
      const double of_matching = left_of(table, row, matching_pursuit(table, row, count, same));
      const double of_orthogonal = left_of(table, row, orthogonal_pursuit(table, row, count));
      CHECK(of_matching <= matching + 1e-6);
      CHECK(of_orthogonal <= orthogonal + 1e-6);
      matching = of_matching;
      orthogonal = of_orthogonal;
    }
    CHECK(orthogonal < 1e-4);  // sixteen atoms span the row
  }
}

TEST_CASE("as many atoms of an orthonormal dictionary as elements tell a row exactly") {
  std::vector<float> axes(kWidth * kWidth, 0.0F);
  for (std::int64_t i = 0; i < kWidth; ++i) {
    axes[static_cast<std::size_t>(i * kWidth + (i + 3) % kWidth)] = i % 2 == 0 ? 1.0F : -1.0F;
  }
  const AtomTable table(std::move(axes), kWidth);
  Rng rng(4);
  const std::vector<float> row = random_row(rng);
  CHECK(left_of(table, row, matching_pursuit(table, row, kWidth, same)) == 0.0);
  CHECK(left_of(table, row, orthogonal_pursuit(table, row, kWidth)) < 1e-6);
}

TEST_CASE("plain matching pursuit keeps energy: the row's square is that of weights and of what is left") {
  Rng rng(5);
  const AtomTable table = random_atoms(64, rng);
  for (int trial = 0; trial < 20; ++trial) {
    const std::vector<float> row = random_row(rng);
    const auto all = static_cast<double>(dot(row, row));
    for (const std::int64_t count : {1, 4, 9}) {
      const SparseCode code = matching_pursuit(table, row, count, same);
      const double left = left_of(table, row, code);
      const auto weights = static_cast<double>(dot(code.weights, code.weights));
      CHECK(weights + left * left == doctest::Approx(all).epsilon(1e-5));
    }
  }
}

TEST_CASE("a query's products with the atoms, added up by the code, are its product with the decoded row") {
  Rng rng(6);
  const AtomTable table = random_atoms(64, rng);
  const std::vector<float> query = random_row(rng);
  const std::vector<float> of_atoms = table.products(query);
  for (int trial = 0; trial < 20; ++trial) {
    const SparseCode code = matching_pursuit(table, random_row(rng), 6, same);
    double in_codes = 0.0;
    for (std::size_t i = 0; i < code.atoms.size(); ++i) {
      in_codes += static_cast<double>(code.weights[i]) *
                  static_cast<double>(of_atoms[static_cast<std::size_t>(code.atoms[i])]);
    }
    std::vector<float> back(kWidth);
    add_up(table, code, back);
    CHECK(in_codes == doctest::Approx(static_cast<double>(dot(query, back))).epsilon(1e-4));
  }
}

/// Rows that are sums of two of `count` hidden atoms.
std::vector<float> sums_of_two(const AtomTable& hidden, std::int64_t rows, Rng& rng) {
  std::vector<float> all;
  const auto atoms = static_cast<std::uint64_t>(hidden.atoms());
  for (std::int64_t i = 0; i < rows; ++i) {
    const SparseCode code{
        {static_cast<std::int32_t>(rng.below(atoms)), static_cast<std::int32_t>(rng.below(atoms))},
        {static_cast<float>(1.0 + rng.uniform()), static_cast<float>(rng.normal())}};
    std::vector<float> row(kWidth);
    add_up(hidden, code, row);
    all.insert(all.end(), row.begin(), row.end());
  }
  return all;
}

double mean_left(const AtomTable& table, const std::vector<float>& rows, std::int64_t nonzeros) {
  double sum = 0.0;
  for (std::size_t at = 0; at < rows.size(); at += kWidth) {
    const std::vector<float> row(rows.begin() + static_cast<std::ptrdiff_t>(at),
                                 rows.begin() + static_cast<std::ptrdiff_t>(at + kWidth));
    sum += left_of(table, row, orthogonal_pursuit(table, row, nonzeros));
  }
  return sum * kWidth / static_cast<double>(rows.size());
}

TEST_CASE("k-SVD leaves less with each few rounds, of rows that were not seen too, and gives unit atoms") {
  Rng rng(7);
  const AtomTable hidden = random_atoms(24, rng);
  const std::vector<float> rows = sums_of_two(hidden, 600, rng);
  const std::vector<float> others = sums_of_two(hidden, 200, rng);
  const auto view = matrix_view<float>(rows.data(), 600, kWidth);
  double before = 1e9;
  for (const std::int64_t rounds : {0, 3, 15}) {
    Rng begin(8);
    std::vector<float> atoms = train_dictionary(view, {.atoms = 24, .nonzeros = 2, .rounds = rounds}, begin);
    const AtomTable table(std::move(atoms), kWidth);
    for (std::int64_t i = 0; i < 24; ++i) {
      CHECK(dot(table.atom(i), table.atom(i)) == doctest::Approx(1.0));
    }
    const double left = mean_left(table, others, 2);
    CHECK(left < before);
    before = left;
  }
  CHECK(before < 0.35);  // of rows that are about 1.9 long
}

TEST_CASE("a dictionary of more atoms than rows has all of them, and the same seed the same one") {
  Rng rng(9);
  const std::vector<float> rows = random_row(rng);
  const auto view = matrix_view<float>(rows.data(), 1, kWidth);
  const DictionaryPlan plan{.atoms = 5, .nonzeros = 2, .rounds = 3};
  Rng first(10);
  Rng second(10);
  const std::vector<float> atoms = train_dictionary(view, plan, first);
  CHECK(atoms == train_dictionary(view, plan, second));
  CHECK(std::ssize(atoms) == 5 * kWidth);
  CHECK(mean_left(AtomTable(atoms, kWidth), rows, 1) < 1e-5);
  Rng none(11);
  CHECK(std::ssize(train_dictionary(matrix_view<float>(rows.data(), 0, kWidth), plan, none)) == 5 * kWidth);
}

}  // namespace
}  // namespace kvr::kernels
