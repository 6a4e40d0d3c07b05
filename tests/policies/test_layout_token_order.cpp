#include <doctest/doctest.h>

#include "sim/interfaces/layout.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

using test::Sequence;

struct Placed {
  std::unique_ptr<Clustering> clustering;
  std::unique_ptr<Layout> layout;
  LayoutTraffic traffic;
};

/// Both heads hold the same pages of four.
Placed place(const ParamValues& values, EntryIndex prompt, const Sequence& sequence) {
  Placed placed;
  placed.clustering = test::make<Clustering>("page", {{"page_tokens", std::int64_t{4}}},
                                             {.head_dim = 1, .head = {}, .root_seed = 1});
  placed.layout = test::make<Layout>("token_order", values,
                                     {.kv_heads = 2, .entry_bytes = 100, .block_bytes = 512, .root_seed = 1});
  ChangeList changes;
  Work work;
  placed.clustering->build(sequence.view(prompt), changes, work);
  const std::vector<const Clustering*> heads(2, placed.clustering.get());
  placed.layout->place({.heads = heads}, placed.traffic);
  return placed;
}

std::vector<Extent> locate(const Layout& layout, std::int64_t head, const std::vector<EntryIndex>& entries) {
  std::vector<Extent> extents;
  layout.locate(head, 0, entries, extents);
  return extents;
}

const Sequence kSequence(std::vector<float>(8, 0.0F), 1);

TEST_CASE("token_order: interleaved, entry 2 of head 1 of two heads is record 5") {
  const Placed placed = place({{"interleave_heads", true}}, 3, kSequence);
  CHECK(locate(*placed.layout, 1, {2}) == std::vector<Extent>{{500, 100}});
  CHECK(placed.layout->space_bytes() == 600);
  CHECK(placed.traffic.writes.size() == 6);
}

TEST_CASE(
    "token_order: in chunks of three, a head's records are neighbours and the second chunk follows both "
    "heads") {
  Placed placed = place({{"chunk_tokens", std::int64_t{3}}}, 3, kSequence);
  CHECK(placed.traffic.writes == std::vector<Extent>{{0, 600}});
  CHECK(placed.layout->space_bytes() == 600);

  ChangeList changes;
  LayoutTraffic traffic;
  Work work;
  placed.clustering->append(3, kSequence.view(4), test::NothingResident{}, changes, work);
  placed.layout->update(1, changes, *placed.clustering, traffic);
  CHECK(locate(*placed.layout, 1, {0, 3}) == std::vector<Extent>{{300, 100}, {900, 100}});
  CHECK(traffic.writes == std::vector<Extent>{{900, 100}});
  CHECK(traffic.appended_bytes == 100);
  CHECK(placed.layout->space_bytes() == 1200);
}

}  // namespace
}  // namespace kvr
