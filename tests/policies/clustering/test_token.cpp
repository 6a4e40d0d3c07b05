#include <doctest/doctest.h>

#include "tests/policies/support.hpp"

namespace kvr {
namespace {

const Clustering::Context kContext = {.head_dim = 4, .head = {}, .root_seed = 1};

TEST_CASE("token: unit i is entry i, in the prompt and after") {
  Rng rng(1);
  const test::Sequence sequence = test::Sequence::random(5, 4, rng);
  const auto clustering = test::make<Clustering>("token", {}, kContext);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(3), changes, work);
  clustering->append(3, sequence.view(4), test::NothingResident{}, changes, work);
  REQUIRE(clustering->unit_count() == 4);
  REQUIRE(changes.size() == 4);
  for (UnitId unit = 0; unit < 4; ++unit) {
    CHECK(test::copy(clustering->members(unit)) == std::vector<EntryIndex>{unit});
    CHECK(changes[static_cast<std::size_t>(unit)].kind == ChangeKind::created);
    CHECK(changes[static_cast<std::size_t>(unit)].unit == unit);
  }
  CHECK(clustering->dram_bytes() == 0);
}

TEST_CASE("token: a prompt of one entry is one unit") {
  Rng rng(2);
  const test::Sequence sequence = test::Sequence::random(1, 4, rng);
  const auto clustering = test::make<Clustering>("token", {}, kContext);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(1), changes, work);
  CHECK(clustering->unit_count() == 1);
}

TEST_CASE("token: an entry out of turn is refused") {
  Rng rng(3);
  const test::Sequence sequence = test::Sequence::random(4, 4, rng);
  const auto clustering = test::make<Clustering>("token", {}, kContext);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(2), changes, work);
  CHECK_THROWS_AS(clustering->append(3, sequence.view(4), test::NothingResident{}, changes, work),
                  InternalError);
}

}  // namespace
}  // namespace kvr
