// Policies that break an invariant on request, in some steps only, so that what is checked at the end alone
// does not see it. Without a fault they are right, because other tests run all policies that exist.
#include "tests/engine/broken_policies.hpp"

#include <algorithm>
#include <deque>
#include <limits>
#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/clustering.hpp"
#include "sim/interfaces/layout.hpp"
#include "sim/interfaces/replacement.hpp"

namespace kvr::test {
namespace {

/// The fault shows from the step that brings in this entry to the next one.
constexpr EntryIndex kFaultyEntry = 80;

/// Unit i holds entries 8 i to 8 i + 7.
class BrokenUnits final : public Clustering {
 public:
  static constexpr std::string_view kName = kBrokenUnits;
  static constexpr std::string_view kDoc = "Units of eight entries, for tests.";
  static constexpr std::string_view kSource = "ours";

  struct Params {
    std::string fault = "none";
  };
  static ParamTable<Params> params() {
    return {{"fault",
             &Params::fault,
             {.doc = "what is wrong for a step",
              .choices = "none|lost|twice|own|endless_work|negative_work|negative_dram"}}};
  }

  BrokenUnits(const Params& params, const Context&) : params_(params) {}

  void build(const HeadView& prompt, const EntrySet&, ChangeList& changes, Work&) override {
    for (EntryIndex entry = 0; entry < prompt.entries(); ++entry) {
      add(entry);
    }
    for (UnitId unit = 0; unit < unit_count(); ++unit) {
      changes.push_back({.kind = ChangeKind::created, .unit = unit});
    }
  }
  void append(EntryIndex entry, const HeadView&, const ResidentUnits&, ChangeList& changes,
              Work& work) override {
    last_ = entry;
    if (entry == kFaultyEntry && params_.fault == "endless_work") {
      work.flops += std::numeric_limits<double>::quiet_NaN();
    } else if (entry == kFaultyEntry && params_.fault == "negative_work") {
      work.bytes -= 1.0;
    }
    if (entry == kFaultyEntry + 1) {
      units_[1] = {8, 9, 10, 11, 12, 13, 14, 15};
    }
    const UnitId unit = add(entry);
    changes.push_back(entry % 8 == 0 ? Change{.kind = ChangeKind::created, .unit = unit}
                                     : Change{.kind = ChangeKind::appended, .unit = unit, .entry = entry});
    if (entry == kFaultyEntry && params_.fault == "lost") {
      units_[1].pop_back();
    } else if (entry == kFaultyEntry && params_.fault == "twice") {
      units_[1].push_back(0);
    }
  }
  void check(const HeadView& view) const override {
    KVR_CHECK(params_.fault != "own" || view.entries() != kFaultyEntry + 1, "the units' own fault");
  }

  std::int64_t unit_count() const override { return std::ssize(units_); }
  std::span<const EntryIndex> members(UnitId unit) const override {
    return units_[static_cast<std::size_t>(unit)];
  }
  std::int64_t dram_bytes() const override {
    return params_.fault == "negative_dram" && last_ == kFaultyEntry ? -1 : 0;
  }

 private:
  UnitId add(EntryIndex entry) {
    units_.resize(static_cast<std::size_t>(entry / 8) + 1);
    units_.back().push_back(entry);
    return entry / 8;
  }

  Params params_;
  std::vector<std::vector<EntryIndex>> units_;
  EntryIndex last_ = -1;
};

/// Record e * heads + h of a layer is entry e of head h.
class BrokenLayout final : public Layout {
 public:
  static constexpr std::string_view kName = kBrokenLayout;
  static constexpr std::string_view kDoc = "Entries one after another, for tests.";
  static constexpr std::string_view kSource = "ours";

  struct Params {
    std::string fault = "none";
  };
  static ParamTable<Params> params() {
    return {{"fault",
             &Params::fault,
             {.doc = "what is wrong for a step", .choices = "none|overlap|outside|silent|own"}}};
  }

  BrokenLayout(const Params& params, const Context& context) : params_(params), context_(context) {}

  void place(const PromptUnits& prompt, LayoutTraffic& traffic) override {
    for (const Clustering* clustering : prompt.heads) {
      for (UnitId unit = 0; unit < clustering->unit_count(); ++unit) {
        entries_ += std::ssize(clustering->members(unit));
      }
    }
    traffic.writes = {{0, space_bytes()}};
    traffic.appended_bytes = space_bytes();
    written_bytes_ = space_bytes();
  }
  void update(std::int64_t, std::span<const Change> changes, const Clustering&,
              LayoutTraffic& traffic) override {
    for (const Change& change : changes) {
      KVR_CHECK(change.kind == ChangeKind::appended || change.kind == ChangeKind::created, "too much for it");
      last_ = static_cast<EntryIndex>(entries_++ / context_.kv_heads);
      if (!is("silent")) {
        const std::int64_t bytes = space_bytes() - written_bytes_;
        traffic.writes.push_back({written_bytes_, bytes});
        traffic.appended_bytes += bytes;
        written_bytes_ += bytes;
      }
    }
  }
  void locate(std::int64_t head, UnitId, std::span<const EntryIndex> entries,
              std::vector<Extent>& extents) const override {
    for (const EntryIndex entry : entries) {
      std::int64_t record = entry * context_.kv_heads + head;
      if (entry == 5 && is("overlap")) {
        record += context_.kv_heads;
      } else if (entry == 5 && is("outside")) {
        record += entries_;
      }
      extents.push_back({record * context_.entry_bytes, context_.entry_bytes});
    }
  }
  void check() const override { KVR_CHECK(!is("own"), "the layout's own fault"); }
  std::int64_t space_bytes() const override { return entries_ * context_.entry_bytes; }

 private:
  bool is(std::string_view fault) const { return params_.fault == fault && last_ == kFaultyEntry; }

  Params params_;
  Context context_;
  std::int64_t entries_ = 0;
  std::int64_t written_bytes_ = 0;
  EntryIndex last_ = -1;
};

/// Gives up what it met first.
class BrokenReplacement final : public Replacement {
 public:
  static constexpr std::string_view kName = kBrokenReplacement;
  static constexpr std::string_view kDoc = "First in, first out, for tests.";
  static constexpr std::string_view kSource = "ours";

  struct Params {
    bool refuses = false;
  };
  static ParamTable<Params> params() {
    return {{"refuses", &Params::refuses, {.doc = "denies that it caches once it would have to give up"}}};
  }

  BrokenReplacement(const Params& params, const Context&) : params_(params) {}

  /// The engine asks each head's cache before it touches, when something is appended and when it drops what
  /// no cache keeps, and last of all before it evicts: 3 times and once for each of two heads, after once
  /// when the cache is made.
  bool caches() const override {
    const std::int64_t question = asked_++;
    return !params_.refuses || question == 0 || (question - 1) % 8 < 6;
  }
  void touched(CacheObject object, std::int64_t, bool) override { meet(object); }
  void updated(CacheObject object, std::int64_t) override { meet(object); }
  CacheObject victim() override {
    const CacheObject first = order_.front();
    order_.pop_front();
    return first;
  }

 private:
  void meet(CacheObject object) {
    if (std::ranges::find(order_, object) == order_.end()) {
      order_.push_back(object);
    }
  }

  Params params_;
  mutable std::int64_t asked_ = 0;
  std::deque<CacheObject> order_;
};

const Registration<Clustering, BrokenUnits> registered_units;
const Registration<Layout, BrokenLayout> registered_layout;
const Registration<Replacement, BrokenReplacement> registered_replacement;

}  // namespace
}  // namespace kvr::test
