// Every clustering under eviction: what is removed is in no unit, what is not is in one, and the change
// stream says the same.
#include <doctest/doctest.h>

#include <map>
#include <set>

#include "sim/base/registry.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

struct EveryOther final : ResidentUnits {
  bool resident(UnitId unit) const override { return unit % 2 == 0; }
};

/// Holds the changes against what the clustering says of itself.
class Books {
 public:
  void hand_over(EntryIndex entry) { live_.insert(entry); }

  void remove(std::span<const EntryIndex> entries, std::span<const Change> changes) {
    std::set<EntryIndex> reported;
    for (const Change& change : changes) {
      REQUIRE(change.kind == ChangeKind::removed);
      REQUIRE(unit_of_.at(change.entry) == change.unit);
      reported.insert(change.entry);
      live_.erase(change.entry);
    }
    REQUIRE(reported == std::set<EntryIndex>(entries.begin(), entries.end()));
    REQUIRE(changes.size() == entries.size());
  }

  void check(const Clustering& clustering, const HeadView& view) {
    unit_of_.clear();
    std::set<EntryIndex> held;
    for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
      for (const auto& entries : {clustering.members(unit), clustering.pending(unit)}) {
        for (const EntryIndex entry : entries) {
          REQUIRE(held.insert(entry).second);
          unit_of_[entry] = unit;
        }
      }
    }
    REQUIRE(held == live_);
    clustering.check(view);
  }

  std::vector<EntryIndex> some(Rng& rng, std::uint64_t one_in) const {
    std::vector<EntryIndex> entries;
    for (const EntryIndex entry : live_) {
      if (rng.below(one_in) == 0) {
        entries.push_back(entry);
      }
    }
    return entries;
  }

 private:
  std::set<EntryIndex> live_;
  std::map<EntryIndex, UnitId> unit_of_;
};

ParamValues params_for(std::string_view name) {
  if (name == "kmeans") {
    return {{"entries_per_cluster", std::int64_t{8}}, {"refit_every", std::int64_t{25}}};
  }
  if (name == "kmeans_local") {
    return {{"entries_per_cluster", std::int64_t{8}},
            {"window", std::int64_t{12}},
            {"window_clusters", std::int64_t{2}}};
  }
  if (name == "adaptive") {
    return {{"entries_per_cluster", std::int64_t{8}}, {"buffer_entries", std::int64_t{3}}};
  }
  return {};
}

std::vector<UnitId> wanted(std::span<const Change> changes) {
  std::vector<UnitId> units;
  for (const Change& change : changes) {
    if (change.kind == ChangeKind::wants_load) {
      units.push_back(change.unit);
    }
  }
  return units;
}

TEST_CASE("clusterings hold what is live, in one unit each, whatever is removed") {
  constexpr EntryIndex kPrompt = 67;
  constexpr EntryIndex kAll = 180;
  for (const auto& [name, implementation] : Catalogue::instance().kind("clustering")) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      CAPTURE(name);
      CAPTURE(seed);
      if (name.starts_with("test_")) {
        continue;
      }
      Rng rng(seed);
      const test::Sequence sequence = test::Sequence::random(kAll, 4, rng);
      const auto clustering =
          test::make<Clustering>(name, params_for(name), {.head_dim = 4, .head = {}, .root_seed = seed});
      Books books;
      EntrySet live;
      for (EntryIndex entry = 0; entry < kPrompt; ++entry) {
        if (rng.below(4) > 0) {
          live.add(entry);
          books.hand_over(entry);
        }
      }
      Work work;
      ChangeList changes;
      clustering->build(sequence.view(kPrompt), live, changes, work);
      books.check(*clustering, sequence.view(kPrompt));
      for (EntryIndex entry = kPrompt; entry < kAll; ++entry) {
        const HeadView view = sequence.view(entry + 1);
        changes.clear();
        clustering->append(entry, view, EveryOther(), changes, work);
        books.hand_over(entry);
        if (const auto units = wanted(changes); !units.empty()) {
          clustering->loaded(units, view, changes, work);
        }
        books.check(*clustering, view);
        // Now and then nearly everything goes, so that units are emptied.
        const auto entries = books.some(rng, entry % 40 == 0 ? 1 : entry % 7 == 0 ? 2 : 30);
        changes.clear();
        clustering->remove(entries, view, changes, work);
        books.remove(entries, changes);
        books.check(*clustering, view);
      }
    }
  }
}

/// Of the lists that it keeps of the first hundred entries, a third of which was removed before `build` or
/// after it.
std::int64_t dram_of(std::string_view name, bool before) {
  Rng rng(4);
  const test::Sequence sequence = test::Sequence::random(100, 4, rng);
  const auto clustering = test::make<Clustering>(name, {}, {.head_dim = 4, .head = {}, .root_seed = 1});
  std::vector<EntryIndex> removed;
  EntrySet live = EntrySet::first(100);
  for (EntryIndex entry = 0; entry < 100; entry += 3) {
    removed.push_back(entry);
    live.remove(entry);
  }
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(100), before ? live : EntrySet::first(100), changes, work);
  if (!before) {
    clustering->remove(removed, sequence.view(100), changes, work);
  }
  return clustering->dram_bytes();
}

TEST_CASE("lists of entries take DRAM for what is live, removed before the units were built or after") {
  for (const std::string_view name : {"kmeans_local", "segmented_kmeans"}) {
    CAPTURE(std::string(name));
    CHECK(dram_of(name, true) == dram_of(name, false));
  }
}

}  // namespace
}  // namespace kvr
