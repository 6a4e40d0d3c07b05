#include <doctest/doctest.h>

#include "sim/interfaces/layout.hpp"
#include "tests/policies/layout/layout_support.hpp"

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

test::OneHead one_head(std::int64_t page_bytes) {
  return {"token_order", {{"page_buffer", page_bytes}}, {{0}}};
}

TEST_CASE("token_order: entries wait until their page is full, and are written together") {
  test::OneHead f = one_head(400);  // pages of four entries
  CHECK(f.traffic.writes == std::vector<Extent>{{0, 100}});
  for (const EntryIndex entry : {1, 2}) {
    f.append(0, entry);
    CHECK(f.traffic.writes.empty());
    CHECK(f.traffic.appended_bytes == 0);
  }
  CHECK(f.unwritten() == std::vector<EntryIndex>{1, 2});
  f.append(0, 3);
  CHECK(f.traffic.writes == std::vector<Extent>{{100, 300}});
  CHECK(f.traffic.appended_bytes == 300);
  CHECK(f.unwritten().empty());
  CHECK(f.offsets(0) == test::Offsets{0, 100, 200, 300});
  f.append(0, 4);
  CHECK(f.unwritten() == std::vector<EntryIndex>{4});
  CHECK(f.layout->space_bytes() == 1024 * 100);
}

TEST_CASE("token_order: a record in two pages is written in two parts and waits for the second") {
  test::OneHead f = one_head(250);
  f.append(0, 1);
  f.append(0, 2);
  CHECK(f.traffic.writes == std::vector<Extent>{{100, 150}});  // entry 1 and half of 2
  CHECK(f.traffic.appended_bytes == 100);
  CHECK(f.unwritten() == std::vector<EntryIndex>{2});
  f.append(0, 3);
  f.append(0, 4);
  CHECK(f.traffic.writes == std::vector<Extent>{{250, 250}});
  CHECK(f.traffic.appended_bytes == 300);
  CHECK(f.unwritten().empty());
}

TEST_CASE("token_order: pending entries leave their page open until they get their record") {
  test::OneHead f = one_head(400);
  f.update({{.kind = ChangeKind::buffered, .unit = 0, .entry = 1}});
  f.append(0, 2);
  f.append(0, 3);
  CHECK(f.unwritten() == std::vector<EntryIndex>{2, 3});
  f.split(0, {0, 3}, {1, 2});
  CHECK(f.traffic.writes == std::vector<Extent>{{100, 300}});
  CHECK(f.unwritten().empty());
}

TEST_CASE("token_order: regrouped, nothing moves, and what was pending gets its record") {
  test::OneHead f("token_order", {}, {{0, 1}, {2}});
  f.update({{.kind = ChangeKind::buffered, .unit = 0, .entry = 3}});
  f.units.units = {{0, 2}, {1, 3}};
  f.update({{.kind = ChangeKind::regrouped, .unit = -1}});
  CHECK(f.traffic.writes == std::vector<Extent>{{300, 100}});
  CHECK(f.traffic.moved.empty());
  CHECK(f.offsets(1) == test::Offsets{100, 300});
}

TEST_CASE(
    "token_order: interleaved, the last head fills the page for all; in runs, a border waits for both") {
  for (const bool interleaved : {true, false}) {
    Placed placed = place({{"interleave_heads", interleaved},
                           {"chunk_tokens", std::int64_t{3}},
                           {"page_buffer", std::int64_t{400}}},
                          1, kSequence);
    const auto append = [&](EntryIndex entry) {
      ChangeList changes;
      Work work;
      placed.traffic.clear();
      placed.clustering->append(entry, kSequence.view(entry + 1), test::NothingResident{}, changes, work);
      placed.layout->update(0, changes, *placed.clustering, placed.traffic);
      placed.layout->update(1, changes, *placed.clustering, placed.traffic);
    };
    append(1);
    // Interleaved, the tokens 0 and 1 fill page 0. Else it holds head 0's tokens 0 to 2 and head 1's token 0.
    CHECK(placed.traffic.writes == (interleaved ? std::vector<Extent>{{200, 200}} : std::vector<Extent>{}));
    CHECK(placed.layout->unwritten(0).size() == (interleaved ? 0 : 1));
    CHECK(placed.layout->unwritten(1).size() == (interleaved ? 0 : 1));
    append(2);
    CHECK(placed.traffic.writes == (interleaved ? std::vector<Extent>{} : std::vector<Extent>{{100, 200}}));
    CHECK(placed.layout->unwritten(0).size() == (interleaved ? 1 : 0));
    CHECK(placed.layout->unwritten(1).size() == (interleaved ? 1 : 2));
  }
}

test::OneHead chunks_of_eight(std::int64_t page_bytes, std::vector<EntryIndex> prompt) {
  return {"token_order",
          {{"chunk_tokens", std::int64_t{8}}, {"page_buffer", page_bytes}},
          {std::move(prompt)}};  // a chunk is two slots of four records
}

TEST_CASE("token_order: a new chunk takes the slot that lost all its entries, then one at the end") {
  test::OneHead f = chunks_of_eight(0, {0, 1, 2, 3, 4, 5, 6, 7});
  f.remove({0, 2, 3, 4, 5, 6});
  CHECK_FALSE(f.wrote());
  CHECK(f.offsets(0) == test::Offsets{100, 700});
  f.remove({1});  // slot 0 is free; slot 1 is kept for entry 7
  f.append(0, 8);
  CHECK(f.traffic.writes == std::vector<Extent>{{0, 100}});
  CHECK(f.layout->space_bytes() == 1200);
  for (const EntryIndex entry : {9, 10, 11, 12}) {
    f.append(0, entry);
  }
  CHECK(f.offsets(0) == test::Offsets{700, 0, 100, 200, 300, 800});
  f.remove({7, 8, 9, 10, 11});
  for (const EntryIndex entry : {13, 14, 15, 16, 20}) {  // the third chunk takes slots 0 and 1
    f.append(0, entry);
  }
  CHECK(f.offsets(0) == test::Offsets{800, 900, 1000, 1100, 0, 400});
  CHECK(f.layout->space_bytes() == 1200);
}

TEST_CASE("token_order: an entry that waits and is removed is never written, and its page waits no longer") {
  test::OneHead f = chunks_of_eight(400, {0, 1, 2, 3, 4, 5, 6, 7});
  f.append(0, 8);
  f.append(0, 9);
  REQUIRE(f.unwritten() == std::vector<EntryIndex>{8, 9});
  f.remove({8});
  CHECK_FALSE(f.wrote());
  CHECK(f.unwritten() == std::vector<EntryIndex>{9});
  f.append(0, 10);
  f.append(0, 11);
  CHECK(f.traffic.writes == std::vector<Extent>{{900, 300}});
  CHECK(f.traffic.appended_bytes == 300);
}

TEST_CASE("token_order: a pending entry that is removed uses up its record") {
  test::OneHead f = one_head(400);
  f.update({{.kind = ChangeKind::buffered, .unit = 0, .entry = 1}});
  f.append(0, 2);
  f.append(0, 3);
  f.remove({1});
  CHECK_FALSE(f.wrote());
  CHECK(f.unwritten() == std::vector<EntryIndex>{2, 3});
  f.update({});
  CHECK(f.traffic.writes == std::vector<Extent>{{200, 200}});
}

TEST_CASE("token_order: what the prompt's units lack was removed before, told of or not") {
  for (const bool told : {false, true}) {
    test::OneHead f = chunks_of_eight(0, {4, 5, 6, 7});
    CHECK(f.offsets(0) == test::Offsets{400, 500, 600, 700});
    if (told) {
      f.remove({0, 1, 2, 3});
    }
    f.append(0, 8);
    CHECK(f.offsets(0).back() == 0);
  }
}

}  // namespace
}  // namespace kvr
