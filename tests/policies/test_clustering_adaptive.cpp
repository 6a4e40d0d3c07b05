#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "sim/error.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

using test::Sequence;
using Units = std::vector<std::vector<EntryIndex>>;

std::unique_ptr<Clustering> make(const ParamValues& values, std::int64_t head_dim, std::uint64_t seed = 1) {
  return test::make<Clustering>("adaptive", values, {.head_dim = head_dim, .head = {}, .root_seed = seed});
}

Units members_of(const Clustering& clustering) {
  Units units;
  for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
    units.push_back(test::copy(clustering.members(unit)));
  }
  return units;
}

Units pending_of(const Clustering& clustering) {
  Units units;
  for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
    units.push_back(test::copy(clustering.pending(unit)));
  }
  return units;
}

struct Resident final : ResidentUnits {
  explicit Resident(std::set<UnitId> units) : units_(std::move(units)) {}
  bool resident(UnitId unit) const override { return units_.contains(unit); }

 private:
  std::set<UnitId> units_;
};

/// Two heaps of variance 1 on a line: keys 0 and 2 in the left unit, 10 and 12 in the right one; then more.
class Line {
 public:
  Line(const std::vector<float>& more, ParamValues values) : sequence_(with_heaps(more), 1) {
    values.insert({"clusters", std::int64_t{2}});
    clustering_ = make(values, 1);
    ChangeList changes;
    clustering_->build(sequence_.view(4), changes, work_);
    REQUIRE(changes.size() == 2);
    REQUIRE(clustering_->unit_count() == 2);
    left = clustering_->members(0).front() == 0 ? 0 : 1;
    right = 1 - left;
  }

  ChangeList append(const std::set<UnitId>& resident = {}) {
    ChangeList changes;
    clustering_->append(next_, sequence_.view(next_ + 1), Resident(resident), changes, work_);
    ++next_;
    return changes;
  }
  ChangeList load(std::vector<UnitId> units) {
    ChangeList changes;
    clustering_->loaded(units, sequence_.view(next_), changes, work_);
    return changes;
  }
  std::vector<EntryIndex> members(UnitId unit) const { return test::copy(clustering_->members(unit)); }
  std::vector<EntryIndex> pending(UnitId unit) const { return test::copy(clustering_->pending(unit)); }
  /// As if the keys were `times` what they are.
  void check(float times = 1.0F) const {
    std::vector<float> keys;
    for (EntryIndex entry = 0; entry < next_; ++entry) {
      keys.push_back(times * sequence_.key(entry).front());
    }
    clustering_->check(Sequence(keys, 1).view(next_));
  }
  std::int64_t units() const { return clustering_->unit_count(); }

  UnitId left = 0;
  UnitId right = 0;

 private:
  static std::vector<float> with_heaps(const std::vector<float>& more) {
    std::vector<float> keys = {0, 2, 10, 12};
    keys.insert(keys.end(), more.begin(), more.end());
    return keys;
  }

  Sequence sequence_;
  std::unique_ptr<Clustering> clustering_;
  Work work_;
  EntryIndex next_ = 4;
};

void check_change(const Change& change, ChangeKind kind, UnitId unit, UnitId other, EntryIndex entry) {
  CHECK(change.kind == kind);
  CHECK(change.unit == unit);
  CHECK(change.other == other);
  CHECK(change.entry == entry);
}

TEST_CASE("adaptive: a key joins while the variance it makes is at most the threshold, to the last bit") {
  // 0, 2, 1: variance 2/3. With 3 it is (2.25 + 0.25 + 0.25 + 2.25) / 4 = 1.25, exactly.
  for (const double multiple : {1.25, std::nextafter(1.25, 0.0)}) {
    CAPTURE(multiple);
    Line line({1, 3}, {{"multiple", multiple}});
    check_change(line.append().front(), ChangeKind::appended, line.left, -1, 4);
    const ChangeList changes = line.append();
    REQUIRE(changes.size() == 1);
    check_change(changes[0], multiple == 1.25 ? ChangeKind::appended : ChangeKind::buffered, line.left, -1,
                 5);
  }
}

TEST_CASE("adaptive: a cluster in DRAM is split at once, the new key included") {
  // Of 0, 2, 1, 3 (mean 1.5) keys 0 and 3 are the farthest: {0, 1} and {2, 3}.
  Line line({1, 3}, {});
  line.append();
  const ChangeList changes = line.append({line.left});
  REQUIRE(changes.size() == 2);
  check_change(changes[0], ChangeKind::appended, line.left, -1, 5);
  check_change(changes[1], ChangeKind::split, line.left, 2, -1);
  CHECK(line.members(line.left) == std::vector<EntryIndex>{0, 4});
  CHECK(line.members(2) == std::vector<EntryIndex>{1, 5});
  CHECK(line.members(line.right) == std::vector<EntryIndex>{2, 3});
}

TEST_CASE("adaptive: the larger half keeps the unit and its place") {
  // 0, 2, 1.5, 6: the farthest from the mean 2.375 is 6, from 6 it is 0: {6} and {0, 2, 1.5}.
  Line line({1.5F, 5.75F}, {});
  line.append();
  line.append({line.left});
  CHECK(line.members(line.left) == std::vector<EntryIndex>{0, 1, 4});
  CHECK(line.members(2) == std::vector<EntryIndex>{5});
}

TEST_CASE("adaptive: a cluster that is not in DRAM keeps the key waiting until it is loaded") {
  Line line({1, 3, 11, 3}, {});
  line.append();
  const ChangeList waits = line.append({line.right});
  REQUIRE(waits.size() == 1);
  check_change(waits[0], ChangeKind::buffered, line.left, -1, 5);
  CHECK(line.pending(line.left) == std::vector<EntryIndex>{5});
  CHECK(line.members(line.left) == std::vector<EntryIndex>{0, 1, 4});

  check_change(line.append().front(), ChangeKind::appended, line.right, -1, 6);
  CHECK(line.load({line.right}).empty());
  check_change(line.append().front(), ChangeKind::buffered, line.left, -1,
               7);  // n, r, s2 are those without 5
  const ChangeList split = line.load({line.right, line.left});
  REQUIRE(split.size() == 1);
  check_change(split[0], ChangeKind::split, line.left, 2, -1);
  CHECK(line.pending(line.left).empty());
  CHECK(line.pending(2).empty());
  CHECK(line.members(line.left) == std::vector<EntryIndex>{1, 5, 7});  // 2, 3, 3: the larger half
  CHECK(line.members(2) == std::vector<EntryIndex>{0, 4});             // 0, 1
  CHECK(line.load({line.left, 2}).empty());
}

TEST_CASE("adaptive: what waits in a cluster takes part when a key splits it in DRAM") {
  Line line({3.5F, 3.5F}, {});
  check_change(line.append().front(), ChangeKind::buffered, line.left, -1, 4);
  const ChangeList changes = line.append({line.left});
  REQUIRE(changes.size() == 2);
  check_change(changes[1], ChangeKind::split, line.left, 2, -1);
  CHECK(line.pending(line.left).empty());
  CHECK(line.members(line.left) == std::vector<EntryIndex>{1, 5, 4});  // 2, 3.5, 3.5
  CHECK(line.members(2) == std::vector<EntryIndex>{0});
}

TEST_CASE("adaptive: halves that still exceed the threshold are split again while they are in DRAM") {
  // Of 0, 2 and the waiting -4, 5.5: {0, -4} of variance 4 and {2, 5.5} of 3.06, hence four single keys.
  Line line({-4, 5.5F}, {});
  line.append();
  line.append();
  const ChangeList changes = line.load({line.left});
  REQUIRE(changes.size() == 3);
  check_change(changes[0], ChangeKind::split, line.left, 2, -1);
  check_change(changes[1], ChangeKind::split, 2, 3, -1);
  check_change(changes[2], ChangeKind::split, line.left, 4, -1);
  CHECK(line.members(line.left) == std::vector<EntryIndex>{0});
  CHECK(line.members(2) == std::vector<EntryIndex>{1});
  CHECK(line.members(3) == std::vector<EntryIndex>{5});
  CHECK(line.members(4) == std::vector<EntryIndex>{4});
}

TEST_CASE("adaptive: when buffer_entries wait, the fullest cluster is loaded, the older one of two as full") {
  Line line({3.5F, 8.5F, 8.5F, 3.5F, 3.5F}, {{"buffer_entries", std::int64_t{3}}});
  CHECK(line.append().size() == 1);
  CHECK(line.append().size() == 1);
  const ChangeList full = line.append();
  REQUIRE(full.size() == 2);
  check_change(full[0], ChangeKind::buffered, line.right, -1, 6);
  check_change(full[1], ChangeKind::wants_load, line.right, -1, -1);
  CHECK(line.load({line.right}).size() == 1);
  CHECK(line.append().size() == 1);  // two wait on the left
  const ChangeList again = line.append();
  REQUIRE(again.size() == 2);
  check_change(again[1], ChangeKind::wants_load, line.left, -1, -1);

  Line tie({3.5F, 8.5F}, {{"buffer_entries", std::int64_t{2}}});
  tie.append();
  check_change(tie.append()[1], ChangeKind::wants_load, 0, -1, -1);
}

TEST_CASE("adaptive: split now loads at once, a huge buffer never loads, split off never splits") {
  for (const ParamValues& values :
       {ParamValues{{"split", std::string("now")}}, ParamValues{{"buffer_entries", std::int64_t{0}}},
        ParamValues{{"buffer_entries", std::int64_t{1}}}}) {
    Line line({3.5F}, values);
    const ChangeList changes = line.append();
    REQUIRE(changes.size() == 2);
    check_change(changes[1], ChangeKind::wants_load, line.left, -1, -1);
    CHECK(line.load({line.left}).size() == 1);
  }
  const std::vector<float> many(200, 3.5F);
  Line buffered(many, {{"buffer_entries", std::int64_t{1000}}});
  Line off(many, {{"split", std::string("off")}});
  for (std::size_t i = 0; i < many.size(); ++i) {
    CHECK(buffered.append().size() == 1);
    const ChangeList changes = off.append({off.left});
    REQUIRE(changes.size() == 1);
    CHECK(changes[0].kind == ChangeKind::appended);
    CHECK(off.load({0, 1}).empty());
  }
  CHECK(buffered.pending(buffered.left).size() == 200);
  CHECK(off.units() == 2);
}

TEST_CASE("adaptive: split off follows moving means, unlike kmeans") {
  // 5 and 5.9 pull the left mean from 1 to 3.2: the border moves from 6 to 7.1, and 6.2 goes left.
  Line line({5, 5.9F, 6.2F}, {{"split", std::string("off")}});
  for (int i = 0; i < 3; ++i) {
    CHECK(line.append().front().unit == line.left);
  }
}

TEST_CASE("adaptive: the threshold is a multiple of the mean or of a quantile of the prompt's variances") {
  // Heaps of variance 1 and 4: the mean is 2.5, the quantiles 0, 0.5 and 1 are 1, 2.5 and 4. With the key x
  // the left heap's variance is (2 + (x - 1)^2 * 2 / 3) / 3: 2.48 for 3.85, 2.54 for 3.9; 1.5 is (1.0, 1.5).
  struct Case {
    ParamValues values;
    float fits;
    float exceeds;
  };
  const Case cases[] = {{{{"threshold", std::string("mean")}}, 3.85F, 3.9F},
                        {{{"quantile", 0.5}}, 3.85F, 3.9F},
                        {{{"quantile", 0.0}}, 2.2F, 2.3F},                       // to 1
                        {{{"quantile", 1.0}}, 4.8F, 4.9F},                       // to 4
                        {{{"quantile", 1.0}, {"multiple", 0.25}}, 2.2F, 2.3F}};  // to 1
  for (const Case& one : cases) {
    for (const float key : {one.fits, one.exceeds}) {
      CAPTURE(key);
      const Sequence sequence({0, 2, 20, 24, key}, 1);
      ParamValues values = one.values;
      values.insert({"clusters", std::int64_t{2}});
      const auto clustering = make(values, 1);
      ChangeList changes;
      Work work;
      clustering->build(sequence.view(4), changes, work);
      changes.clear();
      clustering->append(4, sequence.view(5), test::NothingResident{}, changes, work);
      REQUIRE(changes.size() == 1);
      CHECK(changes[0].kind == (key == one.fits ? ChangeKind::appended : ChangeKind::buffered));
    }
  }
}

TEST_CASE("adaptive: prompt clusters above the threshold are split as they are loaded, to the last") {
  const Sequence sequence({0, 2, 20, 24}, 1);
  const auto clustering = make({{"clusters", std::int64_t{2}}, {"quantile", 0.0}}, 1);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(4), changes, work);
  const UnitId wide = clustering->members(0).front() == 2 ? 0 : 1;
  changes.clear();
  const std::vector<UnitId> both = {0, 1};
  clustering->loaded(both, sequence.view(4), changes, work);
  REQUIRE(changes.size() == 1);
  check_change(changes[0], ChangeKind::split, wide, 2, -1);
}

TEST_CASE("adaptive: equal keys are never split, whatever the threshold, and need no end of loads") {
  std::vector<float> keys(300, 0.1F);
  keys[200] = 0.3F;
  const Sequence sequence(keys, 1);
  const auto clustering = make({{"clusters", std::int64_t{4}}, {"multiple", 0.0}}, 1);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(100), changes, work);
  std::vector<UnitId> all = {0, 1, 2, 3};
  for (EntryIndex entry = 100; entry < 300; ++entry) {
    changes.clear();
    clustering->loaded(all, sequence.view(entry), changes, work);
    CHECK(changes.empty());
    clustering->append(entry, sequence.view(entry + 1), Resident({0, 1, 2, 3, 4}), changes, work);
    CHECK(changes.size() == (entry == 200 ? 2 : 1));
    CHECK(test::all_entries(*clustering) == test::first_entries(entry + 1));
  }
  CHECK(clustering->unit_count() == 5);
}

/// As the pseudo-code says it, with plain loops in double and every mean and variance computed from the
/// members anew. It begins with the partition that it is held against.
class Reference {
 public:
  Reference(const Sequence& sequence, Units units, double quantile, std::size_t buffer_entries)
      : sequence_(sequence), members_(std::move(units)), buffer_entries_(buffer_entries) {
    pending_.resize(members_.size());
    std::vector<double> variances;
    for (const auto& unit : members_) {
      variances.push_back(variance(unit));
    }
    std::sort(variances.begin(), variances.end());
    const double at = quantile * static_cast<double>(variances.size() - 1);
    const double low = variances[static_cast<std::size_t>(std::floor(at))];
    const double high = variances[static_cast<std::size_t>(std::ceil(at))];
    tau_ = low + (at - std::floor(at)) * (high - low);
  }

  /// Returns the unit to load, or -1.
  UnitId append(EntryIndex entry, const Resident& resident) {
    std::size_t nearest = 0;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t unit = 0; unit < members_.size(); ++unit) {
      const double d = squared_distance(point(entry), mean(members_[unit]));
      if (d < least) {
        least = d;
        nearest = unit;
      }
    }
    std::vector<EntryIndex> with = members_[nearest];
    with.push_back(entry);
    if (variance(with) <= tau_) {
      members_[nearest] = with;
    } else if (resident.resident(static_cast<UnitId>(nearest))) {
      members_[nearest] = with;
      divide(nearest);
    } else {
      pending_[nearest].push_back(entry);
      return to_load();
    }
    return -1;
  }

  void load(UnitId unit) {
    const auto u = static_cast<std::size_t>(unit);
    if (!pending_[u].empty() || variance(members_[u]) > tau_) {
      divide(u);
    }
  }

  const Units& members() const { return members_; }
  const Units& pending() const { return pending_; }
  double tau() const { return tau_; }

  double variance(const std::vector<EntryIndex>& entries) const {
    const std::vector<double> centre = mean(entries);
    double sum = 0.0;
    for (const EntryIndex entry : entries) {
      sum += squared_distance(point(entry), centre);
    }
    return sum / static_cast<double>(entries.size());
  }

 private:
  std::vector<double> point(EntryIndex entry) const {
    const auto key = sequence_.key(entry);
    return {key.begin(), key.end()};
  }

  static double squared_distance(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      sum += (a[i] - b[i]) * (a[i] - b[i]);
    }
    return sum;
  }

  std::vector<double> mean(const std::vector<EntryIndex>& entries) const {
    std::vector<double> sum(static_cast<std::size_t>(sequence_.head_dim()), 0.0);
    for (const EntryIndex entry : entries) {
      for (std::size_t i = 0; i < sum.size(); ++i) {
        sum[i] += point(entry)[i] / static_cast<double>(entries.size());
      }
    }
    return sum;
  }

  UnitId to_load() const {
    std::size_t total = 0;
    std::size_t fullest = 0;
    for (std::size_t unit = 0; unit < pending_.size(); ++unit) {
      total += pending_[unit].size();
      fullest = pending_[unit].size() > pending_[fullest].size() ? unit : fullest;
    }
    return total >= buffer_entries_ ? static_cast<UnitId>(fullest) : -1;
  }

  std::size_t farthest(const std::vector<EntryIndex>& entries, const std::vector<double>& from) const {
    std::size_t best = 0;
    for (std::size_t i = 1; i < entries.size(); ++i) {
      if (squared_distance(point(entries[i]), from) > squared_distance(point(entries[best]), from)) {
        best = i;
      }
    }
    return best;
  }

  void divide(std::size_t unit) {
    std::vector<EntryIndex> entries = members_[unit];
    entries.insert(entries.end(), pending_[unit].begin(), pending_[unit].end());
    pending_[unit].clear();
    const std::vector<double> first = point(entries[farthest(entries, mean(entries))]);
    const std::vector<double> second = point(entries[farthest(entries, first)]);
    std::vector<double> centres[2] = {first, second};
    std::vector<EntryIndex> halves[2];
    for (int iteration = 0; iteration < 10; ++iteration) {
      std::vector<EntryIndex> next[2];
      for (const EntryIndex entry : entries) {
        const bool to_second =
            squared_distance(point(entry), centres[1]) < squared_distance(point(entry), centres[0]);
        next[to_second ? 1 : 0].push_back(entry);
      }
      REQUIRE_FALSE(next[0].empty());
      REQUIRE_FALSE(next[1].empty());
      const bool same = next[0] == halves[0];
      for (int half = 0; half < 2; ++half) {
        halves[half] = next[half];
        centres[half] = mean(next[half]);
      }
      if (same) {
        break;
      }
    }
    const int kept = halves[1].size() > halves[0].size() ? 1 : 0;
    const std::size_t other = members_.size();
    members_[unit] = halves[kept];
    members_.push_back(halves[1 - kept]);
    pending_.emplace_back();
    divide_if_wide(other);  // the newer half first
    divide_if_wide(unit);
  }

  void divide_if_wide(std::size_t unit) {
    if (variance(members_[unit]) > tau_) {
      divide(unit);
    }
  }

  const Sequence& sequence_;
  Units members_;
  Units pending_;
  std::size_t buffer_entries_;
  double tau_ = 0.0;
};

/// Keys around centres that wander and now and then jump, as those of a long answer.
Sequence drifting_keys(std::int64_t entries, std::int64_t head_dim, Rng& rng) {
  std::vector<std::vector<double>> centres(6, std::vector<double>(static_cast<std::size_t>(head_dim)));
  std::vector<float> keys;
  for (std::int64_t i = 0; i < entries; ++i) {
    std::vector<double>& centre = centres[rng.below(centres.size())];
    for (double& channel : centre) {
      channel = rng.below(100) == 0 ? 3.0 * rng.normal() : channel + 0.05 * rng.normal();
      keys.push_back(static_cast<float>(channel + 0.5 * rng.normal()));
    }
  }
  return {std::move(keys), head_dim};
}

std::set<UnitId> random_units(std::int64_t units, std::uint64_t one_in, Rng& rng) {
  std::set<UnitId> chosen;
  for (UnitId unit = 0; unit < units; ++unit) {
    if (rng.below(one_in) == 0) {
      chosen.insert(unit);
    }
  }
  return chosen;
}

/// Units that have changed since the prompt keep to the threshold; a prompt cluster may exceed it until it is
/// loaded. 1e-9 covers what the running update rounds.
void check_variances(const Reference& reference, const Units& prompt) {
  const Units& units = reference.members();
  for (std::size_t unit = 0; unit < units.size(); ++unit) {
    REQUIRE_FALSE(units[unit].empty());
    if (unit >= prompt.size() || units[unit] != prompt[unit]) {
      CHECK(reference.variance(units[unit]) <= reference.tau() * (1.0 + 1e-9));
    }
  }
}

struct RunCounts {
  int splits = 0;
  int waits = 0;
  int forced = 0;
};

void run_against_reference(std::uint64_t seed, RunCounts& counts) {
  constexpr EntryIndex kPrompt = 120;
  constexpr EntryIndex kEnd = kPrompt + 2000;
  Rng rng(seed);
  const Sequence sequence = drifting_keys(kEnd, 4, rng);
  const std::int64_t buffer = std::array{4, 16, 1, 7}[seed % 4];
  const auto clustering = make(
      {{"entries_per_cluster", std::int64_t{12}}, {"quantile", 0.7}, {"buffer_entries", buffer}}, 4, seed);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(kPrompt), changes, work);
  const Units prompt = members_of(*clustering);
  Reference reference(sequence, prompt, 0.7, static_cast<std::size_t>(buffer));
  for (EntryIndex entry = kPrompt; entry < kEnd; ++entry) {
    changes.clear();
    const std::set<UnitId> selected = random_units(clustering->unit_count(), 40, rng);
    const std::vector<UnitId> list(selected.begin(), selected.end());
    clustering->loaded(list, sequence.view(entry + 1), changes, work);
    for (const UnitId unit : list) {
      reference.load(unit);
    }
    const Resident resident(random_units(clustering->unit_count(), 10, rng));
    clustering->append(entry, sequence.view(entry + 1), resident, changes, work);
    const UnitId wanted = reference.append(entry, resident);
    CHECK((changes.back().kind == ChangeKind::wants_load ? changes.back().unit : -1) == wanted);
    if (wanted >= 0) {
      clustering->loaded(std::vector<UnitId>{wanted}, sequence.view(entry + 1), changes, work);
      reference.load(wanted);
      ++counts.forced;
    }
    for (const Change& change : changes) {
      counts.splits += change.kind == ChangeKind::split ? 1 : 0;
      counts.waits += change.kind == ChangeKind::buffered ? 1 : 0;
    }
    REQUIRE(members_of(*clustering) == reference.members());
    REQUIRE(pending_of(*clustering) == reference.pending());
    CHECK(test::all_entries(*clustering) == test::first_entries(entry + 1));
    if (entry % 10 == 0) {
      check_variances(reference, prompt);
    }
  }
}

TEST_CASE("adaptive: over 2,000 random steps the units are those of a plain reference, at every step") {
  RunCounts counts;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    run_against_reference(seed, counts);
  }
  CHECK(counts.splits > 100);
  CHECK(counts.waits > 100);
  CHECK(counts.forced > 20);
}

TEST_CASE("adaptive: a key costs the distances and one running update; units keep float means") {
  const Sequence sequence({0, 2, 10, 12, 1}, 1);
  const auto clustering = make({{"clusters", std::int64_t{2}}}, 1);
  ChangeList changes;
  Work work;
  clustering->build(sequence.view(4), changes, work);
  CHECK(clustering->dram_bytes() == 4 * 4 + 2 * (4 + 4 + 4));
  work = {};
  clustering->append(4, sequence.view(5), test::NothingResident{}, changes, work);
  CHECK(work.flops == 3.0 * 2.0 + 6.0);
  CHECK(work.bytes == 2.0 * 2.0 + 2.0 + 8.0);
}

TEST_CASE("adaptive: its check finds a variance above the threshold and entries that wait too many") {
  Line line({1, 6}, {{"buffer_entries", std::int64_t{1}}});
  line.check();
  CHECK_THROWS_AS(line.check(1.5F), InternalError);  // variance 2.25, threshold 1
  line.append();
  line.check();
  line.append();                                 // 6 lies between the heaps and waits
  CHECK_THROWS_AS(line.check(), InternalError);  // until the unit that is asked for is loaded
  line.load({line.pending(line.left).empty() ? line.right : line.left});
  line.check();
}

}  // namespace
}  // namespace kvr
