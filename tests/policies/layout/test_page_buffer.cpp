// Write buffers of a page, which cluster_by_cluster and dual_head share.
#include <doctest/doctest.h>

#include "tests/policies/layout/layout_support.hpp"

namespace kvr {
namespace {

using test::Offsets;

/// Pages of four entries; a unit is hot for three steps.
struct Fixture : test::OneHead {
  explicit Fixture(const std::string& name, std::vector<std::vector<EntryIndex>> prompt = {{0}, {1}})
      : OneHead(name, {{"page_buffer", std::int64_t{400}}, {"hot_steps", std::int64_t{3}}},
                std::move(prompt)) {}
};

TEST_CASE("page_buffer: a cold unit writes through, a hot one waits until its page is complete") {
  Fixture f("dual_head");
  f.append(0, 2);
  CHECK(f.traffic.writes == std::vector<Extent>{{100, 100}});
  f.append(0, 3);
  CHECK(f.unwritten() == std::vector<EntryIndex>{3});
  CHECK(f.offsets(0) == Offsets{0, 100, -1});
  CHECK(f.traffic.writes.empty());
  CHECK(f.traffic.appended_bytes == 0);
  f.append(0, 4);
  CHECK(f.unwritten().empty());
  CHECK(f.traffic.writes == std::vector<Extent>{{200, 200}});  // up to the page's end
  CHECK(f.traffic.appended_bytes == 200);
  CHECK(f.offsets(0) == Offsets{0, 100, 200, 300});
}

TEST_CASE("page_buffer: a unit that grows downwards completes the page below") {
  Fixture f("dual_head");  // pools of 16; unit 1 lies at 1500
  f.append(1, 2);
  CHECK(f.offsets(1) == Offsets{1500, 1400});
  f.append(1, 3);
  CHECK(f.unwritten() == std::vector<EntryIndex>{3});
  f.append(1, 4);
  CHECK(f.unwritten().empty());
  CHECK(f.offsets(1) == Offsets{1500, 1400, 1300, 1200});
  for (const EntryIndex entry : {5, 6, 7}) {
    f.append(1, entry);
  }
  CHECK(f.unwritten() == std::vector<EntryIndex>{5, 6, 7});
  f.append(1, 8);
  CHECK(f.offsets(1) == Offsets{1500, 1400, 1300, 1200, 1100, 1000, 900, 800});
}

TEST_CASE("page_buffer: what waits in a unit that cools down is written") {
  Fixture f("dual_head");
  f.append(0, 2);
  f.append(0, 3);
  f.append(1, 4);
  f.append(1, 5);
  CHECK(f.unwritten() == std::vector<EntryIndex>{3, 5});
  f.update({});  // the third step after 3 came
  CHECK(f.unwritten() == std::vector<EntryIndex>{5});
  CHECK(f.offsets(0) == Offsets{0, 100, 200});
  f.update({});
  f.update({});
  CHECK(f.unwritten().empty());
  f.append(0, 6);
  CHECK(f.offsets(0) == Offsets{0, 100, 200, 300});  // cold again
}

TEST_CASE("page_buffer: a split writes what waits, each entry once") {
  for (const char* const name : {"dual_head", "cluster_by_cluster"}) {
    CAPTURE(name);
    Fixture f(name, {{0}});
    f.append(0, 1);
    f.append(0, 2);
    REQUIRE(f.unwritten() == std::vector<EntryIndex>{2});
    f.split(0, {0, 2}, {1});
    CHECK(f.unwritten().empty());
    CHECK(f.traffic.appended_bytes == 100);
    CHECK(f.offsets(0) == Offsets{0, 100});
  }
}

TEST_CASE("page_buffer: a naive unit is moved when its page is complete, not for every entry") {
  Fixture f("cluster_by_cluster", {{0, 1}, {2, 3}, {4}, {5}});
  f.append(1, 6);  // cold: moved to [600, 900)
  CHECK(f.offsets(1) == Offsets{600, 700, 800});
  f.append(0, 7);  // cold: into the hole behind it
  f.append(0, 8);  // completes the page [0, 400)
  CHECK(f.offsets(0) == Offsets{0, 100, 200, 300});
  for (const EntryIndex entry : {9, 10, 11}) {
    f.append(0, entry);
    CHECK(f.traffic.moved.empty());
  }
  CHECK(f.unwritten() == std::vector<EntryIndex>{9, 10, 11});
  f.append(0, 12);  // eight entries find no hole
  CHECK(f.offsets(0) == Offsets{900, 1000, 1100, 1200, 1300, 1400, 1500, 1600});
  CHECK(f.moved() == std::vector<EntryIndex>{0, 1, 7, 8});
  CHECK(f.traffic.appended_bytes == 400);
}

TEST_CASE("page_buffer: entries that do not divide a page are written when they reach its end") {
  test::OneHead f("dual_head", {{"page_buffer", std::int64_t{250}}}, {{0}, {1}});
  f.append(0, 2);
  f.append(0, 3);  // [200, 300) passes 250
  CHECK(f.unwritten().empty());
  f.append(0, 4);  // [300, 400), short of 500
  CHECK(f.unwritten() == std::vector<EntryIndex>{4});
  f.append(0, 5);
  CHECK(f.unwritten().empty());
  CHECK(f.offsets(0) == Offsets{0, 100, 200, 300, 400});
}

TEST_CASE("page_buffer: an entry that waits and is removed is not written; a removal is no step") {
  for (const char* const name : {"dual_head", "cluster_by_cluster"}) {
    CAPTURE(name);
    Fixture f(name, {{0}});
    f.append(0, 1);
    f.append(0, 2);
    f.remove({2});
    CHECK_FALSE(f.wrote());
    CHECK(f.unwritten().empty());
    f.append(0, 3);
    f.remove({1});
    f.update({});
    f.remove({7});  // pending, of a unit that something waits for
    f.update({});
    CHECK(f.unwritten() == std::vector<EntryIndex>{3});
    CHECK_FALSE(f.wrote());
    f.update({});  // the third step after 3 came
    CHECK(f.traffic.writes == std::vector<Extent>{{100, 100}});
    CHECK(f.unwritten().empty());
  }
}

}  // namespace
}  // namespace kvr
