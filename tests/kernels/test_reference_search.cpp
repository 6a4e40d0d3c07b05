#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/kernels/reference_search.hpp"
#include "tests/kernels/random_data.hpp"

namespace kvr::kernels {
namespace {

std::vector<EntryIndex> places(const ReferenceGrid& grid, EntryIndex end) {
  std::vector<EntryIndex> places;
  for (EntryIndex entry = 0; entry < end; ++entry) {
    if (grid.contains(entry)) {
      places.push_back(entry);
    }
  }
  return places;
}

TEST_CASE("references are the sinks and one in a stride that may grow, by hand") {
  CHECK(places({.sinks = 2, .stride = 4, .growth = 0.0}, 12) == std::vector<EntryIndex>{0, 1, 2, 6, 10});
  CHECK(places({.sinks = 0, .stride = 1, .growth = 0.0}, 3) == std::vector<EntryIndex>{0, 1, 2});
  // 2, then strides of 3 + 1 at 2, 3 + 3 at 6, 3 + 6 at 12, 3 + 10 at 21.
  CHECK(places({.sinks = 2, .stride = 3, .growth = 0.5}, 40) ==
        std::vector<EntryIndex>{0, 1, 2, 6, 12, 21, 34});
}

TEST_CASE("nearest references, by hand: ties to the lower, removed ones passed over") {
  ReferenceSearch search(2);
  search.add(0, std::vector<float>{0, 0});
  search.add(4, std::vector<float>{3, 0});
  search.add(9, std::vector<float>{0, 3});
  CHECK(search.size() == 3);
  const std::vector<float> row{2, 2};
  EntrySet live = EntrySet::first(12);
  CHECK(search.nearest(row, 2, live) == std::vector<EntryIndex>{4, 9});
  CHECK(search.nearest(row, 7, live) == std::vector<EntryIndex>{4, 9, 0});
  live.remove(4);
  CHECK(search.nearest(row, 1, live) == std::vector<EntryIndex>{9});
  CHECK(search.nearest(row, 1, EntrySet{}).empty());
}

TEST_CASE("the mean of references is taken off a row and put back") {
  const std::vector<float> references{1, 2, 3, 6};
  std::vector<float> row{5, 5};
  subtract_mean(matrix_view<float>(references.data(), 2, 2), row);
  CHECK(row == std::vector<float>{3, 1});
  add_mean(matrix_view<float>(references.data(), 2, 2), row);
  CHECK(row == std::vector<float>{5, 5});
  add_mean({}, row);
  CHECK(row == std::vector<float>{5, 5});
}

TEST_CASE("residuals of a prompt have the directions of what no reference tells") {
  // Entries 0 and 2 are whole; 1 is (0, 2) beside 0, 3 is (0, -1) beside 2.
  const std::vector<float> floats{1, 0, 1, 2, 5, 5, 5, 4};
  std::vector<Half> halves(floats.size());
  to_half(floats, halves);
  RowProducts products(2);
  add_residuals(matrix_view<Half>(halves.data(), 4, 2), EntrySet::first(4), {.sinks = 0, .stride = 2}, 1,
                products);
  CHECK(products.rows() == 2);
  const PrincipalDirections found = products.directions(2, false);
  CHECK(found.basis == std::vector<float>{0, 1, 1, 0});
  CHECK(found.energy[0] == 1.0);
}

}  // namespace
}  // namespace kvr::kernels
