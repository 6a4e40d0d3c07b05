// Consecutive entries, `page_tokens` at a time:
//
//   unit of an entry = entry / page_tokens
//   append: the first entry of a page creates it, the others join the last page
#include <algorithm>

#include "sim/base/registry.hpp"
#include "sim/interfaces/clustering.hpp"

namespace kvr {
namespace {

class Page final : public Clustering {
 public:
  static constexpr std::string_view kName = "page";
  static constexpr std::string_view kDoc =
      "Retrieves pages of consecutive entries; the last page grows until it is full.";
  static constexpr std::string_view kSource = "Quest, ICML'24, sec. 3";

  struct Params {
    std::int64_t page_tokens = 16;
  };
  static ParamTable<Params> params() {
    return {{"page_tokens",
             &Params::page_tokens,
             {.doc = "entries of a full page",
              .unit = "entries",
              .min = 1,
              .max = bounds::kEntries,
              .source = "Quest, ICML'24"}}};
  }

  Page(Params params, const Context&) : params_(params) {}

  void build(const HeadView& prompt, ChangeList& changes, Work&) override {
    for (EntryIndex entry = 0; entry < prompt.entries(); ++entry) {
      entries_.push_back(entry);
    }
    for (UnitId unit = 0; unit < unit_count(); ++unit) {
      changes.push_back({.kind = ChangeKind::created, .unit = unit});
    }
  }

  void append(EntryIndex entry, const HeadView&, const ResidentUnits&, ChangeList& changes, Work&) override {
    KVR_CHECK(entry == std::ssize(entries_), "entry {} follows {} entries", entry, entries_.size());
    entries_.push_back(entry);
    const auto page = static_cast<UnitId>(entry / params_.page_tokens);
    if (entry % params_.page_tokens == 0) {
      changes.push_back({.kind = ChangeKind::created, .unit = page});
    } else {
      changes.push_back({.kind = ChangeKind::appended, .unit = page, .entry = entry});
    }
  }

  std::int64_t unit_count() const override {
    return (std::ssize(entries_) + params_.page_tokens - 1) / params_.page_tokens;
  }
  std::span<const EntryIndex> members(UnitId unit) const override {
    const std::int64_t first = unit * params_.page_tokens;
    const std::int64_t count = std::min(params_.page_tokens, std::ssize(entries_) - first);
    return std::span(entries_).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
  }
  /// The pages follow from their number alone.
  std::int64_t dram_bytes() const override { return 0; }

 private:
  Params params_;
  std::vector<EntryIndex> entries_;  // 0, 1, 2 ...: what `members` points into
};

const Registration<Clustering, Page> registered;

}  // namespace
}  // namespace kvr
