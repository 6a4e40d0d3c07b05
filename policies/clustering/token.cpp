// Every entry is a unit of its own, and unit i is entry i:
//
//   build, append: created(entry), of what is live
//   remove:        removed(entry), and the unit is empty
#include "sim/base/registry.hpp"
#include "sim/interfaces/clustering.hpp"

namespace kvr {
namespace {

class Token final : public Clustering {
 public:
  static constexpr std::string_view kName = "token";
  static constexpr std::string_view kDoc = "Retrieves single entries; unit i is entry i.";
  static constexpr std::string_view kSource =
      "entry-wise retrieval, DynaKV's 'no cluster' baseline (sec. 8.1)";

  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  Token(Params, const Context&) {}

  void build(const HeadView& prompt, const EntrySet& live, ChangeList& changes, Work&) override {
    for (EntryIndex entry = 0; entry < prompt.entries(); ++entry) {
      add(entry, live.contains(entry), changes);
    }
  }

  void append(EntryIndex entry, const HeadView&, const ResidentUnits&, ChangeList& changes, Work&) override {
    add(entry, true, changes);
  }

  void remove(std::span<const EntryIndex> entries, const HeadView&, ChangeList& changes, Work&) override {
    for (const EntryIndex entry : entries) {
      live_[static_cast<std::size_t>(entry)] = 0;
      changes.push_back({.kind = ChangeKind::removed, .unit = entry, .entry = entry});
    }
  }

  std::int64_t unit_count() const override { return static_cast<std::int64_t>(entries_.size()); }
  std::span<const EntryIndex> members(UnitId unit) const override {
    const auto at = static_cast<std::size_t>(unit);
    return std::span(entries_).subspan(at, live_[at]);
  }
  /// The units follow from their number alone.
  std::int64_t dram_bytes() const override { return 0; }

 private:
  void add(EntryIndex entry, bool live, ChangeList& changes) {
    KVR_CHECK(entry == unit_count(), "entry {} follows {} entries", entry, unit_count());
    entries_.push_back(entry);
    live_.push_back(live ? 1 : 0);
    if (live) {
      changes.push_back({.kind = ChangeKind::created, .unit = entry});
    }
  }

  std::vector<EntryIndex> entries_;  // 0, 1, 2 ...: what `members` points into
  std::vector<std::uint8_t> live_;   // [entries]
};

const Registration<Clustering, Token> registered;

}  // namespace
}  // namespace kvr
