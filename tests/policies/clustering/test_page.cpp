#include <doctest/doctest.h>

#include <cstdlib>

#include "tests/policies/support.hpp"

namespace kvr {
namespace {

std::unique_ptr<Clustering> pages(std::int64_t page_tokens, bool buffered = false) {
  return test::make<Clustering>("page", {{"page_tokens", page_tokens}, {"buffered", buffered}},
                                {.head_dim = 4, .head = {}, .root_seed = 1});
}

TEST_CASE("page: six prompt entries in pages of four leave a tail of two, which grows to four") {
  Rng rng(1);
  const test::Sequence sequence = test::Sequence::random(9, 4, rng);
  const auto clustering = pages(4);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(6), changes, work);
  REQUIRE(changes.size() == 2);
  CHECK(test::copy(clustering->members(0)) == std::vector<EntryIndex>{0, 1, 2, 3});
  CHECK(test::copy(clustering->members(1)) == std::vector<EntryIndex>{4, 5});

  changes.clear();
  for (EntryIndex entry = 6; entry < 9; ++entry) {
    clustering->append(entry, sequence.view(entry + 1), test::NothingResident{}, changes, work);
  }
  REQUIRE(changes.size() == 3);
  CHECK(changes[0].kind == ChangeKind::appended);
  CHECK(changes[0].entry == 6);
  CHECK(changes[1].kind == ChangeKind::appended);
  CHECK(changes[2].kind == ChangeKind::created);
  CHECK(changes[2].unit == 2);
  CHECK(test::copy(clustering->members(1)) == std::vector<EntryIndex>{4, 5, 6, 7});
  CHECK(test::copy(clustering->members(2)) == std::vector<EntryIndex>{8});
}

TEST_CASE("page, buffered: six prompt entries in pages of four leave two waiting, which two more complete") {
  Rng rng(1);
  const test::Sequence sequence = test::Sequence::random(9, 4, rng);
  const auto clustering = pages(4, true);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(6), changes, work);
  REQUIRE(changes.size() == 3);
  CHECK(changes[0].kind == ChangeKind::created);
  CHECK(changes[1].kind == ChangeKind::buffered);
  CHECK(changes[1].unit == 1);
  CHECK(changes[2].entry == 5);
  CHECK(clustering->members(1).empty());
  CHECK(test::copy(clustering->pending(1)) == std::vector<EntryIndex>{4, 5});

  changes.clear();
  for (EntryIndex entry = 6; entry < 9; ++entry) {
    clustering->append(entry, sequence.view(entry + 1), test::NothingResident{}, changes, work);
  }
  REQUIRE(changes.size() == 3);
  CHECK(changes[0].kind == ChangeKind::buffered);
  CHECK(changes[1].kind == ChangeKind::created);
  CHECK(changes[1].unit == 1);
  CHECK(changes[2].kind == ChangeKind::buffered);
  CHECK(changes[2].unit == 2);
  CHECK(test::copy(clustering->members(1)) == std::vector<EntryIndex>{4, 5, 6, 7});
  CHECK(clustering->pending(1).empty());
  CHECK(test::copy(clustering->pending(2)) == std::vector<EntryIndex>{8});
}

TEST_CASE("page: the pages are a partition, whatever their size and the prompt's length") {
  Rng rng(2);
  const test::Sequence sequence = test::Sequence::random(40, 4, rng);
  for (const std::int64_t page_tokens : {1, 3, 16, 100}) {
    for (const EntryIndex prompt : {1, 2, 16, 17, -1, -16}) {  // below 0: buffered
      CAPTURE(page_tokens);
      CAPTURE(prompt);
      const auto clustering = pages(page_tokens, prompt < 0);
      ChangeList changes;
      Work work;
      const EntryIndex entries = std::abs(prompt);
      clustering->build(sequence.view(entries), changes, work);
      for (EntryIndex entry = entries; entry < 40; ++entry) {
        CHECK(test::all_entries(*clustering) == test::first_entries(entry));
        clustering->append(entry, sequence.view(entry + 1), test::NothingResident{}, changes, work);
      }
      CHECK(clustering->unit_count() == (40 + page_tokens - 1) / page_tokens);
    }
  }
}

TEST_CASE(
    "page, packed: what is left of the prompt fills pages without gaps, and later entries go on from there") {
  Rng rng(1);
  const test::Sequence sequence = test::Sequence::random(14, 4, rng);
  const auto clustering = test::make<Clustering>("page", {{"page_tokens", std::int64_t{3}}, {"packed", true}},
                                                 {.head_dim = 4, .head = {}, .root_seed = 1});
  EntrySet live = EntrySet::first(10);
  for (const EntryIndex entry : {1, 2, 3, 6, 8}) {
    live.remove(entry);
  }
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(10), live, changes, work);
  CHECK(changes.size() == 2);
  CHECK(test::copy(clustering->members(0)) == std::vector<EntryIndex>{0, 4, 5});
  CHECK(test::copy(clustering->members(1)) == std::vector<EntryIndex>{7, 9});

  changes.clear();
  for (EntryIndex entry = 10; entry < 12; ++entry) {
    clustering->append(entry, sequence.view(entry + 1), test::NothingResident{}, changes, work);
  }
  REQUIRE(changes.size() == 2);
  CHECK(changes[0].kind == ChangeKind::appended);
  CHECK(changes[0].unit == 1);
  CHECK(changes[1].kind == ChangeKind::created);
  CHECK(changes[1].unit == 2);
  CHECK(test::copy(clustering->members(1)) == std::vector<EntryIndex>{7, 9, 10});
  CHECK(test::copy(clustering->members(2)) == std::vector<EntryIndex>{11});

  changes.clear();
  const std::vector<EntryIndex> leaving = {4, 10};
  clustering->remove(leaving, sequence.view(12), changes, work);
  REQUIRE(changes.size() == 2);
  CHECK(changes[0].unit == 0);
  CHECK(changes[1].unit == 1);
  CHECK(test::copy(clustering->members(0)) == std::vector<EntryIndex>{0, 5});
  CHECK(test::copy(clustering->members(1)) == std::vector<EntryIndex>{7, 9});
}

}  // namespace
}  // namespace kvr
