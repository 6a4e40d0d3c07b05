// build:  entry i of the prompt joins unit 5 i mod units
// append: entry i goes to unit 5 i mod units; every buffer_every-th stays pending there and every third of
//         those asks for a load; the others become members, and a unit of more than max_members is split
//         at once, where it is resident, or asks for a load
// loaded: a unit with something pending or more than max_members is split
//         insatiable: asks for a load again, which is a bug
// split:  into halves of the list of members and pending ones; the unit keeps the head or the tail of it by
//         turns
#include "tests/engine/splitting_clustering.hpp"

#include <vector>

#include "sim/base/registry.hpp"
#include "sim/interfaces/clustering.hpp"

namespace kvr::test {
namespace {

class Splitting final : public Clustering {
 public:
  static constexpr std::string_view kName = kSplitting;
  static constexpr std::string_view kDoc = "Splits, buffers and asks for loads, for tests.";
  static constexpr std::string_view kSource = "ours";

  struct Params {
    std::int64_t units = 6;
    std::int64_t max_members = 9;
    std::int64_t buffer_every = 7;
    bool insatiable = false;
  };
  static ParamTable<Params> params() {
    return {{"units", &Params::units, {.doc = "units of the prompt", .min = 1}},
            {"max_members", &Params::max_members, {.doc = "members before a split", .min = 2}},
            {"buffer_every", &Params::buffer_every, {.doc = "every n-th entry is pending", .min = 1}},
            {"insatiable", &Params::insatiable, {.doc = "a load makes it ask for another, a bug"}}};
  }

  Splitting(Params params, const Context&) : params_(params) {}

  void build(const HeadView& prompt, const EntrySet&, ChangeList& changes, Work&) override {
    units_.resize(static_cast<std::size_t>(std::min<std::int64_t>(params_.units, prompt.entries())));
    for (EntryIndex entry = 0; entry < prompt.entries(); ++entry) {
      home(entry).members.push_back(entry);
    }
    for (UnitId unit = 0; unit < unit_count(); ++unit) {
      changes.push_back({.kind = ChangeKind::created, .unit = unit});
    }
  }

  void append(EntryIndex entry, const HeadView&, const ResidentUnits& resident, ChangeList& changes,
              Work& work) override {
    const auto unit = static_cast<UnitId>(&home(entry) - units_.data());
    work += {1000.0, 1000.0};
    if (entry % params_.buffer_every == 0) {
      home(entry).pending.push_back(entry);
      changes.push_back({.kind = ChangeKind::buffered, .unit = unit, .entry = entry});
      if (++buffered_ % 3 == 0) {
        changes.push_back({.kind = ChangeKind::wants_load, .unit = unit});
      }
      return;
    }
    home(entry).members.push_back(entry);
    changes.push_back({.kind = ChangeKind::appended, .unit = unit, .entry = entry});
    if (!is_full(unit)) {
      return;
    }
    if (resident.resident(unit)) {
      split(unit, changes);
    } else {
      changes.push_back({.kind = ChangeKind::wants_load, .unit = unit});
    }
  }

  void loaded(std::span<const UnitId> units, const HeadView&, ChangeList& changes, Work&) override {
    for (const UnitId unit : units) {
      if (is_full(unit) || !pending(unit).empty()) {
        split(unit, changes);
      }
      if (params_.insatiable) {
        changes.push_back({.kind = ChangeKind::wants_load, .unit = unit});
      }
    }
  }

  std::int64_t unit_count() const override { return std::ssize(units_); }
  std::span<const EntryIndex> members(UnitId unit) const override {
    return units_[static_cast<std::size_t>(unit)].members;
  }
  std::span<const EntryIndex> pending(UnitId unit) const override {
    return units_[static_cast<std::size_t>(unit)].pending;
  }
  std::int64_t dram_bytes() const override { return 16 * unit_count(); }

 private:
  struct Unit {
    std::vector<EntryIndex> members;
    std::vector<EntryIndex> pending;
  };

  Unit& home(EntryIndex entry) { return units_[static_cast<std::size_t>(5 * entry) % units_.size()]; }
  bool is_full(UnitId unit) const { return std::ssize(members(unit)) > params_.max_members; }

  /// Units of two or more entries only, so that no part is empty.
  void split(UnitId unit, ChangeList& changes) {
    const auto at = static_cast<std::size_t>(unit);
    std::vector<EntryIndex> all = units_[at].members;
    all.insert(all.end(), units_[at].pending.begin(), units_[at].pending.end());
    if (all.size() < 2) {
      return;
    }
    const auto middle = all.begin() + std::ssize(all) / 2;
    Unit head = {{all.begin(), middle}, {}};
    Unit tail = {{middle, all.end()}, {}};
    const bool keeps_head = ++splits_ % 2 == 0;
    units_[at] = keeps_head ? head : tail;
    units_.push_back(keeps_head ? tail : head);
    changes.push_back(
        {.kind = ChangeKind::split, .unit = unit, .other = static_cast<UnitId>(units_.size() - 1)});
  }

  Params params_;
  std::vector<Unit> units_;
  std::int64_t buffered_ = 0;
  std::int64_t splits_ = 0;
};

const Registration<Clustering, Splitting> registered;

}  // namespace
}  // namespace kvr::test
