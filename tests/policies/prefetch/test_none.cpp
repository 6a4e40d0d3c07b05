#include <doctest/doctest.h>

#include "sim/interfaces/prefetch.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

TEST_CASE("none: has no lead and guesses no unit") {
  const auto prefetch = test::make<Prefetch>("none", {}, {.layers = 4, .group = 2});
  const std::vector<UnitId> last = {3, 1};
  std::vector<UnitId> units;
  prefetch->guess({.head = {}, .last_selection = last, .speculated_queries = {}}, units);
  CHECK(prefetch->lead_layers() == 0);
  CHECK(units.empty());
}

}  // namespace
}  // namespace kvr
