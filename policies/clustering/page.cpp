// Consecutive entries, `page_tokens` at a time:
//
//   unit of an entry = entry / page_tokens; packed: entries that are live when the prompt has been read, and
//                      those that follow, are counted anew
//   append: the first entry of a page creates it, the others join the last page
//   buffered: the entries of a page wait in DRAM until the last of them has come, which creates it
//   remove: the others of the page close up; a page of the prompt that is not live at all is empty
#include <algorithm>

#include "sim/base/registry.hpp"
#include "sim/interfaces/clustering.hpp"

namespace kvr {
namespace {

class Page final : public Clustering {
 public:
  static constexpr std::string_view kName = "page";
  static constexpr std::string_view kDoc =
      "Retrieves pages of consecutive entries; the last page grows until it is full, or waits until it is.";
  static constexpr std::string_view kSource =
      "Quest, ICML'24, sec. 3; buffered: the groups and the rolling buffer of KVSwap, arXiv 2511.11907";

  struct Params {
    std::int64_t page_tokens = 16;
    bool buffered = false;
    bool packed = false;
  };
  static ParamTable<Params> params() {
    return {
        {"page_tokens",
         &Params::page_tokens,
         {.doc = "entries of a full page",
          .unit = "entries",
          .min = 1,
          .max = bounds::kEntries,
          .source = "Quest, ICML'24"}},
        {"buffered",
         &Params::buffered,
         {.doc = "a page that is not full stays in DRAM, attended to and unranked, and is written when it is",
          .source = "KVSwap: true; Quest: false"}},
        {"packed",
         &Params::packed,
         {.doc =
              "a page of the prompt has as many entries as are left next to one another, where a stage has "
              "removed what lay between them, and none is short",
          .source = "RocketKV: true"}}};
  }

  Page(Params params, const Context&) : params_(params) {}

  void build(const HeadView& prompt, const EntrySet& live, ChangeList& changes, Work&) override {
    for (EntryIndex entry = 0; entry < prompt.entries(); ++entry) {
      const bool is_live = live.contains(entry);
      hand_over(entry, is_live || !params_.packed);
      if (is_live) {
        join(entry);
      }
    }
    for (UnitId unit = 0; unit < unit_count(); ++unit) {
      for (const EntryIndex entry : pending(unit)) {
        changes.push_back({.kind = ChangeKind::buffered, .unit = unit, .entry = entry});
      }
      if (!members(unit).empty()) {
        changes.push_back({.kind = ChangeKind::created, .unit = unit});
      }
    }
  }

  void append(EntryIndex entry, const HeadView&, const ResidentUnits&, ChangeList& changes, Work&) override {
    hand_over(entry, true);
    join(entry);
    const UnitId page = page_of(entry);
    if (waits(page)) {
      changes.push_back({.kind = ChangeKind::buffered, .unit = page, .entry = entry});
    } else if (params_.buffered || place_of(entry) % params_.page_tokens == 0) {
      changes.push_back({.kind = ChangeKind::created, .unit = page});
    } else {
      changes.push_back({.kind = ChangeKind::appended, .unit = page, .entry = entry});
    }
  }

  void remove(std::span<const EntryIndex> entries, const HeadView&, ChangeList& changes, Work&) override {
    for (const EntryIndex entry : entries) {
      const UnitId page = page_of(entry);
      const auto first = entries_.begin() + page * params_.page_tokens;
      const auto end = first + sizes_[static_cast<std::size_t>(page)]--;
      std::copy(std::find(first, end, entry) + 1, end, std::find(first, end, entry));
      changes.push_back({.kind = ChangeKind::removed, .unit = page, .entry = entry});
    }
  }

  std::int64_t unit_count() const override { return std::ssize(sizes_); }
  std::span<const EntryIndex> members(UnitId unit) const override {
    return waits(unit) ? std::span<const EntryIndex>() : entries_of(unit);
  }
  std::span<const EntryIndex> pending(UnitId unit) const override {
    return waits(unit) ? entries_of(unit) : std::span<const EntryIndex>();
  }
  /// The pages follow from their number alone.
  std::int64_t dram_bytes() const override { return 0; }

 private:
  /// Whether the page is the last and entries of it are still to come, for which the others wait.
  bool waits(UnitId page) const {
    return params_.buffered && (page + 1) * params_.page_tokens > std::ssize(entries_);
  }
  std::span<const EntryIndex> entries_of(UnitId page) const {
    return std::span(entries_).subspan(static_cast<std::size_t>(page * params_.page_tokens),
                                       static_cast<std::size_t>(sizes_[static_cast<std::size_t>(page)]));
  }
  std::int64_t place_of(EntryIndex entry) const { return places_[static_cast<std::size_t>(entry)]; }
  UnitId page_of(EntryIndex entry) const {
    return static_cast<UnitId>(place_of(entry) / params_.page_tokens);
  }

  void hand_over(EntryIndex entry, bool takes_place) {
    KVR_CHECK(entry == std::ssize(places_), "entry {} follows {} entries", entry, places_.size());
    places_.push_back(takes_place ? std::ssize(entries_) : -1);
    if (takes_place) {
      entries_.push_back(entry);
      sizes_.resize(static_cast<std::size_t>(page_of(entry)) + 1, 0);
    }
  }

  void join(EntryIndex entry) {
    std::int64_t& size = sizes_[static_cast<std::size_t>(page_of(entry))];
    entries_[static_cast<std::size_t>(page_of(entry) * params_.page_tokens + size)] = entry;
    ++size;
  }

  Params params_;
  std::vector<EntryIndex> entries_;   // page after page, the members of each first
  std::vector<std::int64_t> places_;  // [entries handed over]: among them, when it came; -1 for none
  std::vector<std::int64_t> sizes_;   // [pages], members
};

const Registration<Clustering, Page> registered;

}  // namespace
}  // namespace kvr
