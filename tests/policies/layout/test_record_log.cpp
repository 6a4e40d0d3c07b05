// Where records of any size lie that come one after another and go in any order.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "policies/layout/placing/record_log.hpp"
#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "sim/interfaces/layout.hpp"
#include "tests/policies/layout/layout_support.hpp"

namespace kvr {
namespace {

TEST_CASE("a record lies right after the one before it, over the borders of pages") {
  RecordLog log(10);
  CHECK(log.append(7) == Extent{0, 7});
  CHECK(log.append(5) == Extent{7, 5});
  CHECK(log.append(31) == Extent{12, 31});
  CHECK(log.end_bytes() == 43);
  CHECK(log.is_open({40, 10}));
  CHECK_FALSE(log.is_open({30, 10}));
}

TEST_CASE("a page is free once all of it is removed and the log has left it") {
  RecordLog log(10);
  const Extent first = log.append(6);
  log.remove(first);  // page 0 is open
  CHECK(log.append(4) == Extent{6, 4});
  log.remove({6, 4});  // and now it is free, but too small for the next
  CHECK(log.append(12) == Extent{10, 12});
  CHECK(log.append(9) == Extent{0, 9});  // 8 bytes are left in page 2
  CHECK(log.append(1) == Extent{9, 1});
  CHECK(log.append(5) == Extent{30, 5});  // right after the last would be page 1
  log.remove({10, 12});
  CHECK(log.append(6) == Extent{10, 6});
  CHECK(log.end_bytes() == 35);
}

TEST_CASE("a record larger than a page takes free pages that lie side by side") {
  RecordLog log(10);
  std::vector<Extent> pages;
  for (int page = 0; page < 6; ++page) {
    pages.push_back(log.append(10));
  }
  for (const std::size_t page : {0U, 2U, 3U}) {
    log.remove(pages[page]);
  }
  CHECK(log.append(15) == Extent{20, 15});
  CHECK(log.append(5) == Extent{35, 5});
  CHECK(log.append(15) == Extent{60, 15});
  CHECK(log.append(9) == Extent{0, 9});
}

TEST_CASE("over 100 random runs no two records overlap, and the space stays near what is left") {
  constexpr std::int64_t kPage = 64;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    RecordLog log(kPage);
    std::vector<Extent> records;
    const std::size_t most = 1 + rng.below(60);
    for (int step = 0; step < 2000; ++step) {
      const Extent record = log.append(static_cast<std::int64_t>(1 + rng.below(40)));
      REQUIRE(record.end_bytes() <= log.end_bytes());
      for (const Extent& other : records) {
        REQUIRE((record.end_bytes() <= other.offset_bytes || other.end_bytes() <= record.offset_bytes));
      }
      records.push_back(record);
      if (records.size() > most) {  // the oldest, now and then another
        const std::size_t at = rng.below(4) == 0 ? rng.below(records.size()) : 0;
        log.remove(records[at]);
        records.erase(records.begin() + static_cast<std::ptrdiff_t>(at));
      }
    }
    // Each page that is kept holds a part of a record, or is open.
    CHECK(log.end_bytes() <= static_cast<std::int64_t>(2 * (most + 1) + 2) * kPage);
  }
}

TEST_CASE("a record that is removed twice is a bug") {
  RecordLog log(10);
  const Extent record = log.append(4);
  log.remove(record);
  CHECK_THROWS_AS(log.remove(record), InternalError);
}

/// One head in token order, entry e of 10 + e bytes, blocks of 100.
struct LoggedHead {
  explicit LoggedHead(const ParamValues& values, std::vector<EntryIndex> prompt) {
    for (EntryIndex entry = 0; entry < 30; ++entry) {
      sizes.add(entry, 10 + entry);
    }
    units.units = {std::move(prompt)};
    layout = test::make<Layout>(
        "token_order", values,
        {.kv_heads = 1, .entry_bytes = 40, .block_bytes = 100, .root_seed = 1, .sizes = {&sizes}});
    const Clustering* head = &units;
    layout->place({.heads = {&head, 1}}, traffic);
  }
  void append(EntryIndex entry) {
    traffic.clear();
    units.units[0].push_back(entry);
    const Change change = {.kind = ChangeKind::appended, .unit = 0, .entry = entry};
    layout->update(0, {&change, 1}, units, traffic);
  }
  void remove(EntryIndex entry) {
    traffic.clear();
    std::erase(units.units[0], entry);
    const Change change = {.kind = ChangeKind::removed, .unit = 0, .entry = entry};
    layout->update(0, {&change, 1}, units, traffic);
  }
  std::vector<Extent> places() const {
    std::vector<Extent> extents;
    layout->locate(0, 0, units.units[0], extents);
    return extents;
  }

  RecordSizes sizes = RecordSizes::varying(40, 40, 0);
  test::Units units;
  std::unique_ptr<Layout> layout;
  LayoutTraffic traffic;
};

TEST_CASE("token_order: records of several sizes are a log, whose index is in DRAM while they are there") {
  LoggedHead head({}, {2, 0, 1});
  CHECK(head.layout->takes_sizes());
  CHECK(head.places() == std::vector<Extent>{{21, 12}, {0, 10}, {10, 11}});
  CHECK(head.traffic.writes == std::vector<Extent>{{0, 33}});
  CHECK(head.traffic.appended_bytes == 33);
  CHECK(head.layout->dram_bytes() == 24);
  head.append(3);
  CHECK(head.traffic.writes == std::vector<Extent>{{33, 13}});
  CHECK(head.traffic.appended_bytes == 13);
  CHECK(head.layout->space_bytes() == 46);
  head.remove(0);
  CHECK(head.traffic.writes.empty());
  CHECK(head.layout->dram_bytes() == 24);
  head.append(28);
  CHECK(head.places().back() == Extent{46, 38});
}

TEST_CASE("token_order: an entry of a log waits until its page is full, and for good where it is removed") {
  LoggedHead head({{"page_buffer", std::int64_t{100}}}, {0, 1, 2});
  CHECK(head.traffic.writes == std::vector<Extent>{{0, 33}});  // the prompt does not wait
  head.append(20);
  head.append(21);
  CHECK(head.traffic.writes.empty());
  CHECK(test::copy(head.layout->unwritten(0)) == std::vector<EntryIndex>{20, 21});
  head.remove(20);
  CHECK(test::copy(head.layout->unwritten(0)) == std::vector<EntryIndex>{21});
  head.append(22);  // from 94 to 126
  CHECK(head.traffic.writes == std::vector<Extent>{{63, 37}});
  CHECK(head.traffic.appended_bytes == 31);
  CHECK(test::copy(head.layout->unwritten(0)) == std::vector<EntryIndex>{22});
}

}  // namespace
}  // namespace kvr
