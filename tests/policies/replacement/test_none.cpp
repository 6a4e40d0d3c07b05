#include <doctest/doctest.h>

#include "sim/interfaces/replacement.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

TEST_CASE("none: keeps nothing and so has no victim") {
  const auto policy = test::make<Replacement>("none", {}, {.capacity_bytes = 1 << 20, .root_seed = 1});
  CHECK_FALSE(policy->caches());
  policy->touched({}, 4096, false);
  CHECK_THROWS_AS(policy->victim(), InternalError);
}

}  // namespace
}  // namespace kvr
