// What holds for every layout when entries are removed, under random changes of the units:
//
//   a removal writes nothing and moves nobody
//   records never overlap and lie inside the space; nobody that is removed is waited for
//   who comes to a place, or moves, is written there; who stays is not written again
//   the space stays below a bound, however long the stream is
//
// What bounds the space, for n entries in u units of m at most:
//   token_order         a slot for each entry at worst, and two chunks: one that is filled, one that is left
//   cluster_contiguous  u units' rooms, of m records, slack and growth, in what first fit makes of them
//   cluster_by_cluster  relocate: u * m records, likewise; shift: 2 n records, as many holes as entries
//   dual_head           u ends in pools of pool_factor * m records, and those at which units went on
// The multiples below are the largest met, rounded up: a place that leaks in every tenth step breaks them.
#include <doctest/doctest.h>

#include <array>
#include <map>
#include <set>

#include "sim/interfaces/layout.hpp"
#include "tests/policies/layout/evicting_units.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

using test::EvictingUnits;

constexpr std::int64_t kHeads = 2;
constexpr std::int64_t kEntryBytes = 96;
constexpr std::int64_t kBlockBytes = 512;
constexpr EntryIndex kPrompt = 40;
constexpr EntryIndex kEntries = 2500;

struct Case {
  std::string name;
  ParamValues values;
  double most;  ///< space, as a multiple of the entries that are kept

  bool buffered() const { return values.contains("page_buffer"); }
};

/// When each 32 bytes of the flash were written last; all that is written is a multiple of that.
class Flash {
 public:
  void write(std::span<const Extent> extents, std::int64_t now) {
    for (const Extent& extent : extents) {
      REQUIRE(extent.offset_bytes % kCell + extent.length_bytes % kCell == 0);
      const auto end = static_cast<std::size_t>(extent.end_bytes() / kCell);
      written_.resize(std::max(written_.size(), end), -1);
      std::fill(written_.begin() + extent.offset_bytes / kCell, written_.begin() + static_cast<long>(end),
                now);
    }
  }
  /// The first and the last time at which a part of the record at `offset_bytes` was written last.
  std::pair<std::int64_t, std::int64_t> written(std::int64_t offset_bytes) const {
    if (offset_bytes + kEntryBytes > std::ssize(written_) * kCell) {
      return {-1, -1};
    }
    const auto begin = written_.begin() + offset_bytes / kCell;
    const auto [first, last] = std::minmax_element(begin, begin + kEntryBytes / kCell);
    return {*first, *last};
  }

 private:
  static constexpr std::int64_t kCell = 32;
  std::vector<std::int64_t> written_;
};

class Replay {
 public:
  Replay(const Case& one, std::uint64_t seed)
      : case_(one),
        rng_(seed),
        units_{EvictingUnits{rng_, static_cast<EvictingUnits::Victims>(seed % 3)},
               EvictingUnits{rng_, static_cast<EvictingUnits::Victims>(seed % 3)}},
        layout_(test::make<Layout>(one.name, one.values,
                                   {.kv_heads = kHeads,
                                    .entry_bytes = kEntryBytes,
                                    .block_bytes = kBlockBytes,
                                    .root_seed = seed})) {
    ChangeList ignored;
    for (EvictingUnits& units : units_) {
      for (EntryIndex entry = 0; entry < kPrompt; ++entry) {
        units.join(entry, ignored);
      }
    }
    const std::vector<const Clustering*> heads = {units_.data(), &units_[1]};
    layout_->place({.heads = heads}, traffic_);
    look();
  }

  /// The largest space.
  std::int64_t run() {
    for (EntryIndex entry = kPrompt; entry < kEntries; ++entry) {
      for (std::size_t head = 0; head < kHeads; ++head) {
        ChangeList changes;
        units_[head].join(entry, changes);
        arrived_[head][entry] = now_ + 1;
        update(head, changes);
        check_traffic();
        changes.clear();
        units_[head].evict(changes);
        if (!changes.empty()) {
          update(head, changes);
          check_nothing_happened();
        }
      }
    }
    return layout_->space_bytes();
  }

 private:
  using Places = std::map<EntryIndex, std::int64_t>;  ///< offsets

  void update(std::size_t head, const ChangeList& changes) {
    ++now_;
    traffic_.clear();
    layout_->update(static_cast<std::int64_t>(head), changes, units_[head], traffic_);
    before_ = places_;
    look();
    layout_->check();
  }

  void look() {
    flash_.write(traffic_.writes, now_);
    std::vector<std::int64_t> offsets;
    for (std::size_t head = 0; head < kHeads; ++head) {
      places_[head] = look_at(head);
      for (const auto& [entry, offset] : places_[head]) {
        offsets.push_back(offset);
      }
    }
    std::ranges::sort(offsets);
    const bool apart = std::ranges::adjacent_find(offsets, [](std::int64_t a, std::int64_t b) {
                         return b < a + kEntryBytes;
                       }) == offsets.end();
    REQUIRE(apart);
    REQUIRE((offsets.empty() || (offsets[0] >= 0 && offsets.back() + kEntryBytes <= layout_->space_bytes())));
  }

  /// Every member has a place or waits, and nobody else waits.
  Places look_at(std::size_t head) {
    const auto index = static_cast<std::int64_t>(head);
    const auto unwritten = layout_->unwritten(index);
    std::set<EntryIndex> waiting(unwritten.begin(), unwritten.end());
    REQUIRE(waiting.size() == unwritten.size());
    Places places;
    bool one_each = true;
    for (const UnitId unit : units_[head].used()) {
      std::vector<EntryIndex> members = test::copy(units_[head].members(unit));
      std::erase_if(members, [&](EntryIndex entry) { return waiting.erase(entry) > 0; });
      std::vector<Extent> extents;
      layout_->locate(index, unit, members, extents);
      one_each = one_each && extents.size() == members.size();
      for (std::size_t i = 0; i < std::min(extents.size(), members.size()); ++i) {
        places[members[i]] = extents[i].offset_bytes;
      }
    }
    REQUIRE(one_each);
    REQUIRE(waiting.empty());
    return places;
  }

  void check_traffic() {
    std::int64_t appended = 0;
    std::int64_t moved = 0;
    bool right = true;
    for (std::size_t head = 0; head < kHeads; ++head) {
      for (const auto& [entry, offset] : places_[head]) {
        const auto before = before_[head].find(entry);
        const auto [first, last] = flash_.written(offset);
        if (before == before_[head].end()) {
          ++appended;
          right = right && last == now_ && first >= (case_.buffered() ? arrived_[head][entry] : now_);
        } else if (before->second != offset) {
          ++moved;
          right = right && first == now_;
        } else {
          right = right && last < now_;
        }
      }
    }
    REQUIRE(right);
    REQUIRE(traffic_.appended_bytes == appended * kEntryBytes);
    REQUIRE(traffic_.moved_bytes() == moved * kEntryBytes);
  }

  void check_nothing_happened() {
    REQUIRE(traffic_.writes.empty());
    REQUIRE(traffic_.moved.empty());
    REQUIRE(traffic_.appended_bytes + traffic_.outgrown == 0);
    for (std::size_t head = 0; head < kHeads; ++head) {
      REQUIRE(std::ranges::includes(before_[head], places_[head]));
    }
  }

  const Case& case_;
  Rng rng_;
  std::array<EvictingUnits, kHeads> units_;
  std::unique_ptr<Layout> layout_;
  LayoutTraffic traffic_;
  Flash flash_;
  std::array<Places, kHeads> places_;
  std::array<Places, kHeads> before_;
  std::array<std::map<EntryIndex, std::int64_t>, kHeads> arrived_;
  std::int64_t now_ = 0;
};

const std::vector<Case>& all_cases() {
  static const ParamValues::mapped_type shift = std::string("shift");
  static const std::vector<Case> cases = {
      {"token_order", {{"chunk_tokens", std::int64_t{7}}}, 2.5},
      {"token_order", {{"chunk_tokens", std::int64_t{64}}}, 3.5},
      {"token_order", {{"interleave_heads", true}}, 2.5},
      {"token_order", {{"chunk_tokens", std::int64_t{7}}, {"page_buffer", std::int64_t{256}}}, 2.5},
      {"token_order", {{"chunk_tokens", std::int64_t{64}}, {"page_buffer", std::int64_t{1536}}}, 4.0},
      {"token_order", {{"interleave_heads", true}, {"page_buffer", std::int64_t{1024}}}, 3.0},
      {"cluster_contiguous", {}, 2.5},
      {"cluster_contiguous", {{"growth", 2.0}, {"slack", 0.4}}, 3.0},
      {"cluster_contiguous", {{"growth", 0.0}}, 2.5},
      {"cluster_contiguous", {{"page_buffer", std::int64_t{256}}}, 2.5},
      {"cluster_contiguous", {{"page_buffer", std::int64_t{1024}}, {"wait_steps", std::int64_t{5}}}, 2.5},
      {"cluster_by_cluster", {}, 1.5},
      {"cluster_by_cluster", {{"page_buffer", std::int64_t{256}}, {"hot_steps", std::int64_t{30}}}, 1.5},
      {"cluster_by_cluster", {{"on_growth", shift}}, 1.5},
      {"cluster_by_cluster",
       {{"on_growth", shift}, {"page_buffer", std::int64_t{256}}, {"hot_steps", std::int64_t{30}}},
       1.5},
      {"dual_head", {}, 3.0},
      {"dual_head", {{"page_buffer", std::int64_t{256}}, {"hot_steps", std::int64_t{30}}}, 3.0},
      {"dual_head", {{"page_buffer", std::int64_t{2048}}, {"pool_factor", 5.0}}, 7.5}};
  return cases;
}

TEST_CASE("removal: places are free and used again, nothing else changes, and the space is bounded") {
  constexpr double kKept = kHeads * EvictingUnits::kLiveEntries * kEntryBytes;
  for (std::size_t i = 0; i < all_cases().size(); ++i) {
    const Case& one = all_cases()[i];
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      INFO("case ", i, ", ", one.name, ", seed ", seed);
      CHECK(static_cast<double>(Replay(one, seed).run()) <= one.most * kKept);
    }
  }
}

/// The largest space of 20,000 tokens in pages of 16, of which four sinks and the last 1020 are kept, as a
/// multiple of what those are.
double space_of_window(const Case& one) {
  struct Pages final : Clustering {
    std::vector<std::vector<EntryIndex>> pages;
    void build(const HeadView&, const EntrySet&, ChangeList&, Work&) override {}
    void append(EntryIndex, const HeadView&, const ResidentUnits&, ChangeList&, Work&) override {}
    std::int64_t unit_count() const override { return std::ssize(pages); }
    std::span<const EntryIndex> members(UnitId unit) const override {
      return pages[static_cast<std::size_t>(unit)];
    }
    std::int64_t dram_bytes() const override { return 0; }
  } units;
  constexpr EntryIndex kPage = 16;
  constexpr EntryIndex kSinks = 4;
  constexpr EntryIndex kWindow = 1020;
  units.pages = {{0}};
  const auto layout = test::make<Layout>(
      one.name, one.values, {.kv_heads = 1, .entry_bytes = 128, .block_bytes = 512, .root_seed = 1});
  LayoutTraffic traffic;
  const Clustering* head = &units;
  layout->place({.heads = {&head, 1}}, traffic);
  for (EntryIndex entry = 1; entry < 20000; ++entry) {
    const auto page = static_cast<std::size_t>(entry / kPage);
    const auto kind = page == units.pages.size() ? ChangeKind::created : ChangeKind::appended;
    units.pages.resize(page + 1);
    units.pages[page].push_back(entry);
    const Change joined = {.kind = kind, .unit = static_cast<UnitId>(page), .entry = entry};
    layout->update(0, {&joined, 1}, units, traffic);
    if (const EntryIndex old = entry - kWindow; old >= kSinks) {
      std::erase(units.pages[static_cast<std::size_t>(old / kPage)], old);
      const Change removed = {.kind = ChangeKind::removed, .unit = old / kPage, .entry = old};
      layout->update(0, {&removed, 1}, units, traffic);
    }
    traffic.clear();
  }
  layout->check();
  return static_cast<double>(layout->space_bytes()) / (128.0 * (kSinks + kWindow));
}

TEST_CASE("removal: sinks and a sliding window need a small multiple of their size over 20,000 tokens") {
  const std::vector<Case> cases = {
      {"token_order", {}, 2.0},  // two chunks of the window's size are not free
      {"token_order", {{"chunk_tokens", std::int64_t{64}}}, 1.1},
      {"token_order", {{"interleave_heads", true}, {"page_buffer", std::int64_t{1024}}}, 1.1},
      {"cluster_contiguous", {}, 1.3},
      {"cluster_by_cluster", {}, 1.1},
      {"cluster_by_cluster", {{"on_growth", std::string("shift")}}, 2.1},
      {"dual_head", {}, 1.1}};
  for (const Case& one : cases) {
    const double space = space_of_window(one);
    INFO(one.name, ", at most ", one.most, ": ", space);
    CHECK((space >= 1.0 && space <= one.most));
  }
}

}  // namespace
}  // namespace kvr
